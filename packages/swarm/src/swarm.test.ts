import { embeddingShard, headShard, layerShard, manifestHash } from '@unfed/protocol';
import { afterEach, describe, expect, it } from 'vitest';
import { allShards, isShard, model, seedOf, storeWith, world, type TestPeer, type World } from './swarm.fixture.ts';

let here: World = world();
afterEach(() => here.stop());

const shards = (peer: TestPeer, ids = allShards): Promise<boolean[]> =>
  Promise.all(ids.map(async (id) => isShard(id, await peer.swarm.shard(model.manifest, id))));

describe('swarm', () => {
  it('W1: fetches from the seed alone where there is no peer', async () => {
    here = world();
    const seed = seedOf();
    const peer = here.peer(1, { seed });
    const { manifest } = await peer.swarm.manifest(model.hash);
    expect(manifest).toEqual(model.manifest);
    expect(await shards(peer)).toEqual([true, true, true, true]);
    expect(seed.bytes).toBe(
      peer.swarm.progress[0].bytesFromSeed + seed.reads.length * 0 + model.files.get('manifest.cbor')!.length,
    );
  });

  it('W2: fetches from peers, and asks the seed for nothing that they have', async () => {
    here = world();
    for (const number of [1, 2, 3]) here.peer(number, { store: await storeWith() });
    await here.announced(3);
    const seed = seedOf();
    const peer = here.peer(4, { seed });
    expect(await shards(peer)).toEqual([true, true, true, true]);
    expect(seed.reads).toEqual([]);
    const [progress] = peer.swarm.progress;
    // At its end, some of it may come twice.
    expect(progress.bytesFromPeers).toBeGreaterThanOrEqual(progress.totalBytes);
    expect(progress.doneBytes).toBe(progress.totalBytes);
  });

  it('W3: gives on what it has just fetched', async () => {
    here = world();
    const seed = seedOf();
    here.peer(1, { seed });
    const first = here.peer(2, { seed });
    await shards(first);
    const later = here.peer(3);
    await here.announced(1);
    expect(await shards(later, [embeddingShard, layerShard(1)])).toEqual([true, true]);
    expect(first.swarm.upload.bytesSent).toBeGreaterThan(0);
    expect(later.swarm.seeds).toEqual([model.hash]);
    expect(later.swarm.pieceMap(model.hash)!.map(({ states }) => [...states])).toEqual([[4, 4, 4], [0], [4, 4], [0]]);
  });

  it('W4: fetches each half from where it is, and the rest from the seed', async () => {
    here = world();
    here.peer(1, { store: await storeWith([embeddingShard]) });
    here.peer(2, { store: await storeWith([layerShard(1)]) });
    await here.announced(2);
    const seed = seedOf();
    const peer = here.peer(3, { seed });
    expect(await shards(peer)).toEqual([true, true, true, true]);
    expect(new Set(seed.reads.map(({ path }) => path.split('/')[1]))).toEqual(new Set(['layer-0.bin', 'head.bin']));
  });

  it('W5: says so when nobody has it', async () => {
    here = world();
    const peer = here.peer(1);
    await expect(peer.swarm.shard(model.manifest, headShard)).rejects.toMatchObject({
      code: 'source-not-found',
    });
    await expect(peer.swarm.manifest(manifestHash('00'.repeat(32)))).rejects.toMatchObject({
      code: 'source-not-found',
    });
  });
});
