import { embeddingShard, headShard, layerShard, shardFileName } from '@unfed/protocol';
import { afterEach, describe, expect, it } from 'vitest';
import { SourceError } from './errors.ts';
import { keepingSource, type KeepingSource } from './keeping-source.ts';
import { memoryStore } from './store-memory.ts';
import type { ChunkStore } from './store.ts';
import { chunksOf, fileOf, isShard, model, seedOf, storeWith, world } from './swarm.fixture.ts';
import type { RawFiles } from './verified-source.ts';

const open: KeepingSource[] = [];
afterEach(() => {
  for (const source of open.splice(0)) source.stop();
});

function sourceOf(store: ChunkStore, seed: RawFiles = nothing): KeepingSource {
  const source = keepingSource({ store, seed });
  open.push(source);
  return source;
}

const nothing: RawFiles = {
  read({ path }) {
    throw new SourceError({ failure: 'unreachable', path, transient: false }, 'there is no seed');
  },
};

describe('a source that keeps what it fetches', () => {
  it('S4: gives again without the seed what it gave, file by file and shard by shard', async () => {
    const store = memoryStore();
    const first = sourceOf(store, seedOf());
    const { manifest } = await first.manifest(model.hash);
    await first.file(manifest, 'tokenizer');
    await first.shard(manifest, embeddingShard);
    const later = sourceOf(store);
    expect((await later.manifest(model.hash)).manifest).toEqual(manifest);
    expect(Buffer.compare(await later.file(manifest, 'tokenizer'), fileOf('tokenizer.json'))).toBe(0);
    expect(isShard(embeddingShard, await later.shard(manifest, embeddingShard))).toBe(true);
    await expect(later.shard(manifest, headShard)).rejects.toMatchObject({ code: 'source-unreachable' });
  });

  it('S4: goes on with what it had of a shard', async () => {
    const store = await storeWith([]);
    const bytes = fileOf(shardFileName(embeddingShard));
    await store.put({ manifest: model.hash, shard: embeddingShard, chunk: 1 }, bytes.slice(1 << 20, 2 << 20));
    const seed = seedOf();
    expect(isShard(embeddingShard, await sourceOf(store, seed).shard(model.manifest, embeddingShard))).toBe(true);
    expect(new Set(seed.reads.map(({ start }) => start))).toEqual(new Set([0, 2 << 20]));
  });

  it('S4: drops nothing to make room, and gives what has no room all the same', async () => {
    const store = await storeWith([layerShard(0)]);
    store.capBytes = store.usedBytes + (1 << 20) + 100_000;
    const shard = await sourceOf(store, seedOf()).shard(model.manifest, embeddingShard);
    expect(isShard(embeddingShard, shard)).toBe(true);
    const held = await store.held(model.hash);
    expect(held.get(layerShard(0))).toHaveLength(chunksOf(layerShard(0)));
    expect(held.get(embeddingShard)?.length).toBeLessThan(chunksOf(embeddingShard));
  });

  it('S4: does not fetch again what was deleted, before somebody asks', async () => {
    const store = memoryStore();
    const seed = seedOf();
    const source = sourceOf(store, seed);
    await source.shard(model.manifest, embeddingShard);
    const reads = seed.reads.length;
    await store.drop(model.hash);
    // What follows the drop has happened by the time that another shard has come.
    await source.shard(model.manifest, headShard);
    expect(seed.reads.length - reads).toBe(chunksOf(headShard));
    expect((await store.held(model.hash)).has(embeddingShard)).toBe(false);
  });

  it('S5: a swarm over the same store neither tells of what is private nor gives it', async () => {
    const here = world();
    const isPrivate = (shard: string): boolean => shard === embeddingShard;
    const asked = here.peer(1, { store: await storeWith([embeddingShard]), isPrivate });
    const both = here.peer(2, { store: await storeWith([embeddingShard, layerShard(0)]), isPrivate });
    await here.announced(1);
    const peer = here.peer(3);
    expect(isShard(layerShard(0), await peer.swarm.shard(model.manifest, layerShard(0)))).toBe(true);
    await expect(peer.swarm.shard(model.manifest, embeddingShard)).rejects.toMatchObject({ code: 'source-not-found' });
    expect([asked.swarm.seeds, both.swarm.seeds]).toEqual([[], [model.hash]]);
    expect(isShard(embeddingShard, await both.swarm.shard(model.manifest, embeddingShard))).toBe(true);
    here.stop();
  });
});
