/**
 * One peer, as a page, a script or a Node volunteer uses it. `createPeer` in index.ts (pages) and index.node.ts (Node)
 * put it together; this file says what it can do.
 */
import type { ManifestHash, PeerId, Span, UnfedError } from '@unfed/protocol';
import type { GuardView } from './guard-sample.ts';
import type { Keeping, PieceMap } from '@unfed/swarm';

export type { GuardView } from './guard-sample.ts';

/** What a relay says of itself at `GET /relay.json`; the page's own origin serves it. */
export interface RelayInfo {
  readonly peer: string;
  /** Multiaddrs of the relay's WebSocket, most local first. */
  readonly addresses: readonly string[];
  /** `stun:` and `turn:` URLs; never anybody else's. */
  readonly iceServers: readonly { urls: string; username?: string; credential?: string }[];
  /** The models whose files it serves under `/models/<hash>/`; where one names its publisher, its manifest is signed. */
  readonly models: readonly { readonly manifest: string; readonly name: string; readonly publisher?: string }[];
}

export type Backend = 'webgpu' | 'wasm' | 'node-cpu';

/** The state of the link to the relay. `retrying` says when the next try comes. */
export type RelayState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'connected' }
  | { readonly kind: 'retrying'; readonly error: string; readonly nextTryMs: number };

/** One model pool as the Network tab shows it. */
export interface PoolView {
  readonly manifest: ManifestHash;
  /** From the manifest where it is held, else the start of the hash. */
  readonly name: string;
  /** Layers of the model; 0 while the manifest is not held. */
  readonly layers: number;
  /** How many stages serve each layer now. */
  readonly coverage: readonly number[];
  readonly stages: readonly StageView[];
}

export interface StageView {
  readonly peer: PeerId;
  readonly span: Span;
  readonly backend: Backend;
  readonly stepsPerSecond: number;
  readonly queueLength: number;
  /** Is it this very peer? */
  readonly self: boolean;
}

/** A peer that forwards only. */
export interface ForwarderView {
  readonly peer: PeerId;
}

/** A connection of this peer, for the Network tab and for tests. */
export interface ConnectionView {
  readonly peer: PeerId;
  /** `webrtc`, `webrtc-direct`, `websocket`; `relayed` when frames pass through the relay. */
  readonly transport: 'webrtc' | 'webrtc-direct' | 'websocket' | 'relayed';
  readonly isRelay: boolean;
}

export interface NetworkView {
  readonly relay: RelayState;
  readonly pools: readonly PoolView[];
  readonly forwarders: readonly ForwarderView[];
  readonly connections: readonly ConnectionView[];
  /** First hops of this person's circuits, in the order in which they are used. */
  readonly guards: readonly GuardView[];
  /** The relay is on this machine or in this room: hops of one operator or network may stand in one circuit. */
  readonly local: boolean;
}

/** What the Donate tab shows. Every state that is not `serving` says why. */
export type DonationState =
  | { readonly kind: 'off' }
  /** Loading the runtime, testing it against known answers, measuring it. */
  | { readonly kind: 'preparing'; readonly note: string }
  | {
      readonly kind: 'downloading';
      readonly span: Span;
      readonly bytes: number;
      readonly bytesTotal: number;
    }
  | {
      readonly kind: 'serving';
      readonly model: string;
      readonly span: Span;
      readonly backend: Backend;
      /** Why this backend and not a faster one; empty when it is the best kind. */
      readonly backendNote: string;
      readonly stepsPerSecond: number;
      readonly sessions: number;
      readonly positionsServed: number;
      /** Steps of one position that were computed, and the time that computing them took in all. */
      readonly decodeSteps: number;
      readonly decodeMs: number;
      readonly sinceMs: number;
    }
  | { readonly kind: 'failed'; readonly error: UnfedError };

export interface DonateOptions {
  readonly manifest: ManifestHash;
  /** Layers to serve; chosen by what the pool lacks most when absent. */
  readonly span?: Span;
  /** Weights and KV caches together; a number of ours, not what the browser says. */
  readonly memoryBytesMax?: number;
  /** `auto` tests and measures; a name forces one (tests, `?backend=`). */
  readonly backend?: 'auto' | Backend;
}

export interface Donation {
  readonly state: DonationState;
  start(options: DonateOptions): Promise<void>;
  /** Instant: sessions end, announcements are withdrawn, memory is freed. */
  stop(): Promise<void>;
}

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export interface SamplingOptions {
  /** 0 is greedy. */
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly repetitionPenalty?: number;
  readonly seed?: number;
}

export interface AnswerOptions {
  readonly signal?: AbortSignal;
  readonly sampling?: SamplingOptions;
  readonly tokensMax?: number;
  /** How hidden states travel between stages. Default f32. */
  readonly precision?: 'f32' | 'f16';
}

export interface RouteHop {
  readonly peer: PeerId;
  readonly span: Span;
  readonly backend: Backend;
}

/** What happens while an answer is made, in order. */
export type AnswerEvent =
  | {
      readonly kind: 'progress';
      readonly stage: 'model' | 'planning' | 'connecting' | 'prefill';
      readonly note: string;
    }
  | { readonly kind: 'route'; readonly hops: readonly RouteHop[] }
  /** New text, after so many tokens in all; parts of a character are held back until they are whole. */
  | { readonly kind: 'text'; readonly delta: string; readonly tokens: number }
  | {
      readonly kind: 'end';
      /** `eos`: the model ended. `length`: tokensMax. `context`: the context is full. `stopped`: by the signal. */
      readonly reason: 'eos' | 'length' | 'context' | 'stopped';
      readonly tokens: number;
      readonly promptTokens: number;
      readonly firstTokenMs: number;
      readonly tokensPerSecond: number;
      /** Means over the decoded tokens: embedding, head and sampling here; and from a step's sending to its result. */
      readonly endsMsPerToken: number;
      readonly routeMsPerToken: number;
    };

/** A model made ready for asking: manifest, tokenizer and ends are held and checked. */
export interface Chat {
  readonly manifest: ManifestHash;
  readonly name: string;
  readonly contextLength: number;
  /** Tokens of these messages as a prompt, so that the page can say "too long" before anything is sent. */
  promptTokens(messages: readonly ChatMessage[]): number;
  /**
   * Streams one answer. What was given out before an error is the caller's to keep.
   * @throws NoRouteError ("nobody serves layers 4–5 of demo"), PromptTooLongError, StageLostError, LinkError, …: all UnfedError
   */
  answer(messages: readonly ChatMessage[], options?: AnswerOptions): AsyncGenerator<AnswerEvent, void, void>;
  /**
   * Begins anew: the next answer takes another route and, with circuits, asks under another identity. For a new
   * conversation, and for a person who wants a new circuit. An answer under way goes on.
   */
  renew(): void;
}

/** One model of which chunks are kept or wanted here. Bytes are of the shards wanted here. */
export interface ModelWeightsView {
  readonly manifest: ManifestHash;
  readonly name: string;
  readonly heldBytes: number;
  readonly wantedBytes: number;
  /** What this model takes of the store, wanted or not. */
  readonly storedBytes: number;
  /** 0 while nothing comes. */
  readonly bytesPerSecond: number;
  /** 0 when all is there, null while nobody can say. */
  readonly secondsLeft: number | null;
  /** Peers that send it now. */
  readonly peers: number;
  /** Whether the HTTP seed is being asked too. */
  readonly seed: boolean;
  readonly paused: boolean;
  /** Empty where the manifest is not kept. */
  readonly pieces: PieceMap;
}

/** Chunks of models on this machine. They are fetched and passed on while it donates, and kept in between. */
export interface WeightsView {
  readonly models: readonly ModelWeightsView[];
  readonly usedBytes: number;
  readonly capBytes: number;
  /** Whether the browser clears the chunks when the disk runs low; asked for when a donation starts. */
  readonly kept: Keeping;
  readonly uploadedBytes: number;
  readonly uploadBytesPerSecond: number;
  /** Peers that sent wrong bytes or broke the rules, and are refused since. */
  readonly banned: number;
  /** A sentence where something had to give; empty else. */
  readonly note: string;
}

export interface WeightCaps {
  readonly storeBytes?: number;
  /** Infinity for no cap; 0 passes nothing on. */
  readonly uploadBytesPerSecond?: number;
}

export interface Weights {
  readonly view: WeightsView;
  pause(manifest: ManifestHash): void;
  resume(manifest: ManifestHash): void;
  /** Forgets a model's chunks and fetches no more of them, until somebody asks for it again. */
  delete(manifest: ManifestHash): Promise<void>;
  setCaps(caps: WeightCaps): void;
}

export interface Peer {
  readonly id: PeerId;
  readonly network: NetworkView;
  readonly donation: Donation;
  readonly weights: Weights;
  /** Fetches manifest, tokenizer and ends, and starts the runtime. Kept: a second call is free. */
  openChat(manifest: ManifestHash, onProgress?: (note: string, part: number) => void): Promise<Chat>;
  /** Calls back after anything in `network`, `donation` or `weights` changed, at most once an animation frame's time. */
  onChange(listener: () => void): () => void;
  stop(): Promise<void>;
}
