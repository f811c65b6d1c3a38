import { embeddingShard, layerShard, type ManifestHash, type ShardId } from '@unfed/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memoryStore } from './store-memory.ts';
import { modelA, modelB, seededBytes } from './store.suite.ts';
import type { ChunkStore } from './store.ts';
import { allShards, chunksOf, isShard, model, seedOf, storeWith, world, type World } from './swarm.fixture.ts';

const mebibyte = 1 << 20;
let here: World;
beforeEach(() => (here = world()));
afterEach(() => here.stop());

/** A store that says only when it writes that it is full, as a browser's quota does: its cap promises more. */
function withQuota(store: ChunkStore): ChunkStore {
  return new Proxy(store, {
    get(target, key) {
      const value: unknown = key === 'capBytes' ? Infinity : Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

async function heldOf(store: ChunkStore, manifest: ManifestHash): Promise<Record<string, number>> {
  return Object.fromEntries([...(await store.held(manifest))].map(([id, chunks]) => [id, chunks.length]));
}

describe('a swarm whose store is full', () => {
  it('S2: a quota error frees the least wanted shard, and then the chunk is stored', async () => {
    const store = memoryStore();
    for (const layer of [0, 1]) {
      await store.put({ manifest: modelA, shard: layerShard(layer), chunk: 0 }, seededBytes(mebibyte, layer));
    }
    await store.put({ manifest: modelB, shard: layerShard(0), chunk: 0 }, seededBytes(mebibyte, 3));
    const worth = (manifest: ManifestHash, shard: ShardId): number => {
      if (manifest === model.hash) return 1;
      return manifest === modelA && shard === layerShard(0) ? 0.2 : 0.5;
    };
    // Room for the manifest and the chunk's first bytes, and no more.
    store.capBytes = store.usedBytes + 100_000;
    const peer = here.peer(1, { store: withQuota(store), seed: seedOf(), worth });
    await peer.swarm.manifest(model.hash);
    expect(isShard(layerShard(0), await peer.swarm.shard(model.manifest, layerShard(0)))).toBe(true);
    expect(await heldOf(store, model.hash)).toEqual({ 'layer-0': 1 });
    expect([await heldOf(store, modelA), await heldOf(store, modelB)]).toEqual([{ 'layer-1': 1 }, { 'layer-0': 1 }]);
    expect(peer.swarm.progress[0].isStoreFull).toBe(false);
  });

  it('S2: what somebody waits for is given from memory where nothing may go, and is not kept', async () => {
    const store = memoryStore({ capBytes: mebibyte + 100_000 });
    const seed = seedOf();
    const { swarm } = here.peer(1, { store, seed });
    const steps: number[] = [];
    const shard = swarm.shard(model.manifest, embeddingShard, { onProgress: (bytes) => steps.push(bytes) });
    expect(isShard(embeddingShard, await shard)).toBe(true);
    expect(steps.reduce((sum, bytes) => sum + bytes, 0)).toBe(model.manifest.shards[0].bytes);
    const held = (await heldOf(store, model.hash))[embeddingShard] ?? 0;
    expect([swarm.progress[0].isStoreFull, held < chunksOf(embeddingShard)]).toEqual([true, true]);
    const reads = seed.reads.length;
    expect(isShard(embeddingShard, await swarm.shard(model.manifest, embeddingShard))).toBe(true);
    expect(seed.reads.length - reads).toBe(chunksOf(embeddingShard) - held);
  });

  it('S2: a store that takes nothing at all makes the swarm a source like any other', async () => {
    const { swarm } = here.peer(1, { store: memoryStore({ capBytes: 0 }), seed: seedOf() });
    const given = await Promise.all(allShards.map(async (id) => isShard(id, await swarm.shard(model.manifest, id))));
    expect(given).toEqual([true, true, true, true]);
    expect(swarm.seeds).toEqual([]);
  });

  it('S2: what nobody waits for is given up, and the rest goes on', async () => {
    const store = await storeWith([embeddingShard]);
    store.capBytes = store.usedBytes + mebibyte;
    const { swarm } = here.peer(1, { store, seed: seedOf(), worth: () => 1 });
    await swarm.want(model.manifest, allShards);
    await new Promise<void>((resolve) => {
      swarm.onChange(() => {
        const [progress] = swarm.progress;
        if (progress.isStoreFull && progress.doneBytes === progress.totalBytes) resolve();
      });
    });
    expect((await heldOf(store, model.hash))[embeddingShard]).toBe(chunksOf(embeddingShard));
    expect(swarm.progress[0].failure).toBeUndefined();
  });
});
