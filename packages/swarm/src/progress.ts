/** How a model's download goes, in numbers. */
import type { ManifestHash } from '@unfed/protocol';
import type { ProgressFigures } from './progress-text.ts';

/** `doneBytes` and `totalBytes` are of the shards that are wanted here; `peers` are linked for this model. */
export interface ModelProgress extends ProgressFigures {
  readonly manifest: ManifestHash;
  readonly name: string;
  /** Peers that are sending now. */
  readonly peersGiving: number;
  readonly paused: boolean;
  /** The store had no room for something that was wanted: fewer shards are kept. */
  readonly isStoreFull: boolean;
  /** Since the swarm was created; what came twice counts twice. */
  readonly bytesFromPeers: number;
  readonly bytesFromSeed: number;
  /** Why something that is wanted cannot be had: neither the seed nor any peer has it now. */
  readonly failure: Error | undefined;
}
