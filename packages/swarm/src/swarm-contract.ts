/** What a swarm is given, and what it offers. */
import type { Directory, Links, Manifest, ManifestHash, PeerId, ShardId } from '@unfed/protocol';
import type { ShardWorth } from './free-room.ts';
import type { PieceMap } from './piece-map.ts';
import type { ModelProgress } from './progress.ts';
import type { ShardSource } from './shard-source.ts';
import type { ChunkStore } from './store.ts';
import type { SwarmClock } from './swarm-clock.ts';
import type { RawFiles } from './verified-source.ts';

export interface SwarmOptions {
  readonly links: Links;
  readonly directory: Directory;
  readonly store: ChunkStore;
  /** Asked last for what peers have, first for what nobody has, and for manifests and small files. */
  readonly seed?: RawFiles;
  /** Whether a peer is next to us in a running circuit: chunks come from others where they can. */
  readonly isNeighbour?: (peer: PeerId) => boolean;
  /** What shards are worth when the store is full. Default: wanted ones 1, others 0. */
  readonly worth?: ShardWorth;
  /** Shards that are neither given nor told of, though the store holds them. Default: none. */
  readonly isPrivate?: (shard: ShardId) => boolean;
  readonly clock?: SwarmClock;
  /** Numbers in [0, 1). */
  readonly random?: () => number;
}

/** A peer that is not exchanged with any more in this session. */
export interface Ban {
  readonly peer: PeerId;
  readonly reason: string;
}

export interface Upload {
  readonly bytesSent: number;
  readonly bytesPerSecond: number;
  /** Peers that may download from us now. */
  readonly peers: number;
}

export interface Swarm extends ShardSource {
  /** Models that are exchanged now, at most `seedsMax`: what an announcement says under `seeds`. */
  readonly seeds: readonly ManifestHash[];
  /** Of all models that are exchanged. */
  readonly progress: readonly ModelProgress[];
  readonly upload: Upload;
  readonly bans: readonly Ban[];
  readonly isPaused: boolean;
  /** Fetches these shards and keeps them, rarest chunks first over all of them; resolves when it has begun. */
  want(manifest: Manifest, shards: readonly ShardId[]): Promise<void>;
  unwant(manifest: Manifest, shards: readonly ShardId[]): void;
  /** @returns undefined for a model that is not exchanged */
  pieceMap(manifest: ManifestHash): PieceMap | undefined;
  /** Stops fetching, one model or everything; what is held is given on. */
  pause(manifest?: ManifestHash): void;
  resume(manifest?: ManifestHash): void;
  /** Infinity for no limit, 0 to give nothing. Holds at once. */
  setUploadCap(bytesPerSecond: number): void;
  /** For downloads from peers, so that steps of an answer need not wait. Infinity for no limit. Holds at once. */
  setDownloadLimit(bytesPerSecond: number): void;
  /** Forgets a model, also in the store. */
  delete(manifest: ManifestHash): Promise<void>;
  /** Called soon after anything above changed. @returns to stop */
  onChange(listener: () => void): () => void;
  /** Ends all links. The store stays open. */
  stop(): void;
}
