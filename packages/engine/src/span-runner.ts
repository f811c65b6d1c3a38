/** A span on one runtime: its session, its KV caches, its steps. What every backend shares. */
import { spanGraph, shardLayout, type SpanGraph } from '@unfed/model';
import {
  errorText,
  InvalidValueError,
  limits as protocolLimits,
  spanText,
  UnfedError,
  type SessionId,
} from '@unfed/protocol';
import { machineClock, type Clock } from './clock.ts';
import type { LoadOptions, ShardReader, SpanReport, SpanRunner, SpanSpec, SpanStep } from './engine.ts';
import { EngineDisposedError, RuntimeFailedError, ShardSizeError } from './errors.ts';
import { KvCaches, type KvSession } from './kv-caches.ts';
import { kvBytesPerPosition, type KvMemory, type KvShape } from './kv-memory.ts';
import * as limits from './limits.ts';
import type { Graph, InferenceSession, Runtime, Tensor } from './runtime.ts';

/** A graph and the shards it reads, as the model package describes them. */
type GraphFiles = Pick<SpanGraph, 'model' | 'externalFiles'>;

/**
 * Reads the shards of a graph, each checked against its layout.
 * @throws ShardSizeError, the signal's reason
 */
export async function readGraph(
  { model, externalFiles }: GraphFiles,
  { architecture, quantization }: Pick<SpanSpec, 'architecture' | 'quantization'>,
  { shards, signal, onProgress }: LoadOptions & { shards: ShardReader },
): Promise<Omit<Graph, 'keptOutputs'>> {
  const externalData: { path: string; data: Uint8Array }[] = [];
  for (const { path, shard } of externalFiles) {
    signal?.throwIfAborted();
    onProgress?.(`reading ${shard}`);
    const data = await shards(shard);
    const expected = shardLayout(architecture, quantization, shard).bytes;
    if (data.byteLength !== expected) throw new ShardSizeError(shard, expected, data.byteLength);
    externalData.push({ path, data });
  }
  signal?.throwIfAborted();
  return { model, externalData };
}

/** Creates a session inside the mutex. @throws RuntimeFailedError, the signal's reason */
export async function createSession(
  runtime: Runtime,
  graph: Graph,
  { doing, signal }: { doing: string; signal?: AbortSignal },
): Promise<InferenceSession> {
  return runtime.mutex.run(async () => {
    signal?.throwIfAborted();
    let session: InferenceSession;
    try {
      session = await runtime.createSession(graph);
    } catch (error) {
      throw asUnfed(doing, error);
    }
    if (signal?.aborted === true) await session.release();
    signal?.throwIfAborted();
    return session;
  });
}

/** An error of the runtime as one of ours. */
export function asUnfed(doing: string, error: unknown): UnfedError {
  if (error instanceof UnfedError) return error;
  return new RuntimeFailedError(doing, errorText(error), { cause: error });
}

/**
 * Reads the span's shards, builds its graph and a session on `runtime`.
 * @throws ShardSizeError, RuntimeFailedError, GraphTooLargeError, InvalidValueError, the signal's reason
 */
export async function loadSpan(
  runtime: Runtime,
  spec: SpanSpec,
  options: LoadOptions & { shards: ShardReader; clock?: Clock; onDisposed?: () => void },
): Promise<OrtSpanRunner> {
  const { architecture, quantization, span } = spec;
  const doing = `loading layers ${spanText(span)} on ${runtime.backend}`;
  const description = spanGraph(architecture, quantization, { ...span, positionsMax: spec.positionsMax });
  const files = await readGraph(description, spec, options);
  const weightBytes = files.externalData.reduce((sum, { data }) => sum + data.byteLength, 0);
  const { caches, cacheHeadSize } = description;
  const shape = { caches, kvHeads: architecture.kvHeads, headSize: cacheHeadSize };
  options.onProgress?.(doing);
  const keptOutputs = description.outputs;
  const session = await createSession(runtime, { ...files, keptOutputs }, { doing, signal: options.signal });
  const { clock = machineClock, onDisposed } = options;
  return new OrtSpanRunner({ runtime, spec, session, shape, weightBytes, clock, onDisposed });
}

interface OrtSpanRunnerInit {
  readonly runtime: Runtime;
  readonly spec: SpanSpec;
  readonly session: InferenceSession;
  readonly shape: KvShape;
  readonly weightBytes: number;
  readonly clock: Clock;
  readonly onDisposed: (() => void) | undefined;
}

export class OrtSpanRunner implements SpanRunner {
  readonly backend;
  readonly span;
  readonly #runtime: Runtime;
  readonly #spec: SpanSpec;
  readonly #shape: KvShape;
  readonly #session: InferenceSession;
  readonly #weightBytes: number;
  readonly #clock: Clock;
  readonly #onDisposed: (() => void) | undefined;
  readonly #caches: KvCaches<KvMemory>;
  /** Reused by every step: a run reads them when it starts. */
  readonly #keysUpTo = Int32Array.of(0);
  readonly #total = Int32Array.of(0);
  readonly #keysUpToTensor: Tensor;
  readonly #totalTensor: Tensor;
  #cancelSweep: (() => void) | null = null;
  #disposed = false;
  #stepsServed = 0;
  #positionsServed = 0;

  constructor({ runtime, spec, session, shape, weightBytes, clock, onDisposed }: OrtSpanRunnerInit) {
    this.backend = runtime.backend;
    this.span = spec.span;
    this.#runtime = runtime;
    this.#spec = spec;
    this.#shape = shape;
    this.#session = session;
    this.#weightBytes = weightBytes;
    this.#clock = clock;
    this.#onDisposed = onDisposed;
    this.#keysUpToTensor = new runtime.Tensor('int32', this.#keysUpTo, [1]);
    this.#totalTensor = new runtime.Tensor('int32', this.#total, [1]);
    this.#caches = new KvCaches({
      cacheBytesMax: spec.cacheBytesMax,
      bytesPerPosition: kvBytesPerPosition(shape),
      free: (memory) => memory.free(),
    });
    runtime.onLost(() => this.#caches.closeAll());
  }

  async open(session: SessionId, positionsMax: number): Promise<'opened' | 'busy'> {
    const allowed = this.#spec.positionsMax;
    if (!Number.isSafeInteger(positionsMax) || positionsMax < 1 || positionsMax > allowed) {
      throw new InvalidValueError('positionsMax', `1 to ${allowed}`, String(positionsMax));
    }
    return this.#runtime.mutex.run(async () => {
      this.#checkAlive();
      if (!this.#caches.reserve(session, positionsMax, this.#clock.now())) return 'busy';
      try {
        const memory = await this.#runtime.allocateKv(this.#shape, positionsMax);
        this.#caches.fill(session, memory);
      } catch (error) {
        this.#caches.close(session);
        if (error instanceof RuntimeFailedError) return 'busy';
        throw error;
      }
      this.#sweepLater();
      return 'opened';
    });
  }

  async step(step: SpanStep): Promise<Float32Array> {
    this.#checkAlive();
    this.#checkStep(step);
    const held = this.#caches.hold(step.session);
    try {
      return await this.#runtime.mutex.run(() => this.#run(held, step));
    } finally {
      this.#caches.release(held, this.#clock.now());
    }
  }

  async close(session: SessionId): Promise<void> {
    await this.#runtime.mutex.run(async () => this.#caches.close(session));
  }

  async report(): Promise<SpanReport> {
    return {
      backend: this.backend,
      span: this.span,
      sessions: this.#caches.size,
      cacheBytes: this.#caches.cacheBytes,
      cacheBytesMax: this.#caches.cacheBytesMax,
      weightBytes: this.#weightBytes,
      stepsServed: this.#stepsServed,
      positionsServed: this.#positionsServed,
      failure: this.#runtime.lost?.message ?? null,
    };
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#cancelSweep?.();
    this.#onDisposed?.();
    await this.#runtime.mutex.run(async () => {
      this.#caches.closeAll();
      await this.#session.release();
    });
  }

  async #run(held: KvSession<KvMemory>, { position, tokens, hidden, wants }: SpanStep): Promise<Float32Array> {
    this.#checkAlive();
    this.#caches.check(held, position, tokens);
    const { memory } = held;
    const { width } = this.#spec.architecture;
    const { feeds } = memory;
    memory.truncate(position);
    held.positions = position;
    this.#keysUpTo[0] = position + tokens - 1;
    this.#total[0] = position + tokens;
    feeds.seqlens_k = this.#keysUpToTensor;
    feeds.total_sequence_length = this.#totalTensor;
    feeds.hidden = new this.#runtime.Tensor('float32', hidden, [1, tokens, width]);
    try {
      const results = await this.#session.run(feeds, memory.fetches);
      memory.keep(results);
      const rows = wants === 'all' ? tokens : 1;
      const out = await this.#runtime.readRows(results.hidden_out, rows, width);
      this.#checkAlive();
      held.positions = position + tokens;
      this.#stepsServed++;
      this.#positionsServed += tokens;
      return out;
    } catch (error) {
      throw this.#runtime.lost ?? asUnfed(`running layers ${spanText(this.span)} on ${this.backend}`, error);
    }
  }

  #checkStep({ tokens, hidden }: SpanStep): void {
    if (!Number.isSafeInteger(tokens) || tokens < 1 || tokens > protocolLimits.stepPositionsMax) {
      throw new InvalidValueError('tokens of a step', `1 to ${protocolLimits.stepPositionsMax}`, String(tokens));
    }
    const numbers = tokens * this.#spec.architecture.width;
    if (hidden.length !== numbers) {
      throw new InvalidValueError('hidden states', `${numbers} numbers for ${tokens} tokens`, String(hidden.length));
    }
  }

  #checkAlive(): void {
    if (this.#runtime.lost !== null) throw this.#runtime.lost;
    if (this.#disposed) throw new EngineDisposedError();
  }

  /** One timer while any session is open; none otherwise. */
  #sweepLater(): void {
    if (this.#cancelSweep !== null || this.#disposed) return;
    this.#cancelSweep = this.#clock.after(limits.sweepIntervalMs, () => {
      this.#cancelSweep = null;
      this.#caches.expire(this.#clock.now());
      if (this.#caches.size > 0) this.#sweepLater();
    });
  }
}
