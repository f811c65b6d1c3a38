/** What a download is given: the model, the store, the seed, and what it needs of the swarm around it. */
import type { Manifest, ManifestHash, PeerId, ShardId } from '@unfed/protocol';
import type { OriginTurnsParts } from './origin-turn.ts';
import type { ChunkStore } from './store.ts';
import type { SwarmClock } from './swarm-clock.ts';
import type { RawFiles } from './verified-source.ts';

export interface DownloadParts extends OriginTurnsParts {
  readonly hash: ManifestHash;
  readonly manifest: Manifest;
  readonly store: ChunkStore;
  readonly seed: RawFiles | undefined;
  readonly clock: SwarmClock;
  readonly random: () => number;
  /** Shards that are neither given nor told of, though the store may hold them. */
  readonly isPrivate: (shard: ShardId) => boolean;
  /** Announced peers have still to say what they hold. */
  readonly arePeersExpected: () => boolean;
  /** @returns whether something was dropped for this model */
  readonly makeRoom: (bytes: number) => Promise<boolean>;
  /** A peer sent wrong bytes. */
  readonly onBadBytes: (peer: PeerId, error: Error) => void;
  readonly onChange: () => void;
}
