/** Makes room in a store: models that nobody wants go first, then the least wanted shards; never for something less wanted. */
import type { ManifestHash, ShardId } from '@unfed/protocol';
import type { ChunkStore, StoredModel } from './store.ts';

/** How much a shard is wanted: 0 not at all, and the higher the dearer. */
export type ShardWorth = (manifest: ManifestHash, shard: ShardId) => number;

export interface RoomWanted {
  readonly bytes: number;
  /** What the room is for: only shards worth less than this may go. */
  readonly forWorth: number;
  readonly worth: ShardWorth;
}

export interface DroppedShards {
  readonly manifest: ManifestHash;
  /** Absent: the whole model, its small files too. */
  readonly shards?: readonly ShardId[];
  readonly bytes: number;
}

/**
 * What to drop, in this order; shards of equal worth by size, largest first, so that few have to go. Pure.
 * @returns less than was wanted when no more may go
 */
export function planRoom(models: readonly StoredModel[], { bytes, forWorth, worth }: RoomWanted): DroppedShards[] {
  const candidates = models
    .flatMap((model) => droppable(model, worth))
    .filter((it) => it.worth < forWorth)
    .sort((a, b) => a.worth - b.worth || b.bytes - a.bytes || (a.name < b.name ? -1 : 1));
  const plan: DroppedShards[] = [];
  let freed = 0;
  for (const { dropped } of candidates) {
    if (freed >= bytes) break;
    plan.push(dropped);
    freed += dropped.bytes;
  }
  return plan;
}

interface Candidate {
  readonly name: string;
  readonly bytes: number;
  readonly worth: number;
  readonly dropped: DroppedShards;
}

function droppable({ manifest, bytes, shards }: StoredModel, worth: ShardWorth): Candidate[] {
  const worths = [...shards].map(([shard, shardBytes]) => ({
    shard,
    bytes: shardBytes,
    worth: worth(manifest, shard),
  }));
  if (worths.every((it) => it.worth <= 0)) return [{ name: manifest, bytes, worth: 0, dropped: { manifest, bytes } }];
  return worths.map((it) => ({
    name: `${manifest}/${it.shard}`,
    bytes: it.bytes,
    worth: it.worth,
    dropped: { manifest, shards: [it.shard], bytes: it.bytes },
  }));
}

/**
 * Drops what `planRoom` names.
 * @returns what was dropped: nothing when nothing may go, and then the wanted bytes do not fit
 * @throws StoreError
 */
export async function freeRoom(store: ChunkStore, wanted: RoomWanted): Promise<readonly DroppedShards[]> {
  const plan = planRoom(await store.models(), wanted);
  for (const { manifest, shards } of plan) await store.drop(manifest, shards);
  return plan;
}

/**
 * Collects the chunks of models that were removed.
 * @returns the bytes that came free
 * @throws StoreError
 */
export async function collectModels(store: ChunkStore, kept: ReadonlySet<ManifestHash>): Promise<number> {
  let freed = 0;
  for (const { manifest, bytes } of await store.models()) {
    if (kept.has(manifest)) continue;
    await store.drop(manifest);
    freed += bytes;
  }
  return freed;
}
