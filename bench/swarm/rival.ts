/** What a way of moving chunks must be able to do in a tab, to be measured against the others. */
import type { Manifest, ManifestHash } from '@unfed/protocol';
import type { ChunkStore } from '@unfed/swarm';

export interface Setup {
  readonly manifest: readonly number[];
  readonly torrent: readonly number[];
  readonly relay: { readonly peer: string; readonly addresses: readonly string[] };
  readonly seeds: number;
}

/** One tab's part in a round. */
export interface Place {
  readonly setup: Setup;
  readonly manifest: Manifest;
  readonly hash: ManifestHash;
  readonly store: ChunkStore;
}

export interface Rival {
  /** Resolves when others can find this tab and what its store holds. */
  give(place: Place): Promise<void>;
  /** Everything that a page does before it wants a model: no link to any seed may be open after it. */
  prepare(place: Place): Promise<void>;
  /** Fetches every chunk of the shard into the store, each verified before; may go on after the last. */
  fetch(place: Place): Promise<void>;
  /** Where a rival keeps chunks in a store of its own: reads one back; `fetch` then ends with the last byte stored. */
  readonly readBack?: (chunk: number) => Promise<Uint8Array<ArrayBuffer>>;
}
