/**
 * What the engine does, whatever runs it: WebGPU and wasm in a page's worker, the CPU in Node. `createEngine` in
 * index.ts (pages) and index.node.ts (Node) gives one.
 */
import type { Architecture, Manifest, SessionId, ShardId, Span } from '@unfed/protocol';

export type Backend = 'webgpu' | 'wasm' | 'node-cpu';
export type Quantization = Manifest['quantization'];

/** Gives a shard's bytes, as the swarm verified them. They are read once and not kept after the span is loaded. */
export type ShardReader = (id: ShardId) => Promise<Uint8Array>;

export interface SpanSpec {
  readonly architecture: Architecture;
  readonly quantization: Quantization;
  readonly span: Span;
  /** The longest session; rotary tables are made for so many positions. */
  readonly positionsMax: number;
  /** All KV caches of this span together: a number of ours, not what the browser says. */
  readonly cacheBytesMax: number;
}

export interface SpanStep {
  readonly session: SessionId;
  /** Where the step starts; what the cache holds from here on is forgotten first. */
  readonly position: number;
  readonly tokens: number;
  /** `[tokens, width]`. Taken over: an array that fills its buffer moves to the worker and is empty afterwards. */
  readonly hidden: Float32Array;
  readonly wants: 'all' | 'last';
}

/** What a runner says of itself. */
export interface SpanReport {
  readonly backend: Backend;
  readonly span: Span;
  /** Sessions open now. */
  readonly sessions: number;
  /** Reserved by open sessions, and what they may take together. */
  readonly cacheBytes: number;
  readonly cacheBytesMax: number;
  readonly weightBytes: number;
  readonly stepsServed: number;
  readonly positionsServed: number;
  /** Why the runner cannot serve any more (a lost GPU); null while it can. */
  readonly failure: string | null;
}

/** A span of layers, loaded. Steps that are sent while another runs wait for it, in order. */
export interface SpanRunner {
  readonly backend: Backend;
  readonly span: Span;

  /**
   * Reserves the session's KV memory, or answers busy; only sessions idle for 60 s make room for another. A session
   * that is open already starts over.
   * @throws InvalidValueError when positionsMax is over the span's, DeviceLostError
   */
  open(session: SessionId, positionsMax: number): Promise<'opened' | 'busy'>;

  /**
   * Cuts the session's cache back to `position`, then runs the layers over `tokens` positions.
   * @returns hidden states, `[tokens, width]` for `all`, `[1, width]` for `last`
   * @throws SessionLostError (closed or evicted), SessionPositionError (a gap before `position`, or over what was
   * reserved), InvalidValueError (`hidden` of another length), DeviceLostError, RuntimeFailedError
   */
  step(step: SpanStep): Promise<Float32Array>;

  /** Frees the session's memory at once; a session that is not open is no error. */
  close(session: SessionId): Promise<void>;
  report(): Promise<SpanReport>;
  dispose(): Promise<void>;
}

/** The ends of a model, which run at the user's own machine. */
export interface Ends {
  /** @returns `[ids.length, width]`. @throws InvalidValueError for ids outside the vocabulary */
  embed(ids: readonly number[]): Promise<Float32Array>;
  /**
   * Final norm and head.
   * @param hidden the last position's hidden states, `[1, width]`; taken over, as a step's
   * @returns `[vocabulary]`
   */
  logits(hidden: Float32Array): Promise<Float32Array>;
  dispose(): Promise<void>;
}

export interface LoadOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (note: string) => void;
}

/** One runtime on one backend, which passed the self-test. */
export interface Engine {
  readonly backend: Backend;
  /** Why this backend and not a faster kind; empty when it is the best kind. */
  readonly note: string;

  /** @throws ShardSizeError, RuntimeFailedError, what the reader throws, the model's GraphLimitError, the signal's reason */
  loadSpan(spec: SpanSpec, shards: ShardReader, options?: LoadOptions): Promise<SpanRunner>;
  /** As `loadSpan`. */
  loadEnds(
    spec: { readonly architecture: Architecture; readonly quantization: Quantization },
    shards: ShardReader,
    options?: LoadOptions,
  ): Promise<Ends>;
  /** Decode steps a second through the whole span, by one session alone (a median); 0 when no session can be opened. */
  measure(runner: SpanRunner, signal?: AbortSignal): Promise<number>;
  dispose(): Promise<void>;
}

export interface EngineOptions {
  /** `auto` tests and compares; a name forces one, which must still pass the self-test. */
  readonly backend: 'auto' | Backend;
  readonly signal?: AbortSignal;
  readonly onProgress?: (note: string) => void;
}
