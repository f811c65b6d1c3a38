import { embeddingShard, headShard, layerShard, type ManifestHash } from '@unfed/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collectModels, freeRoom, planRoom, type ShardWorth } from './free-room.ts';
import { memoryStore } from './store-memory.ts';
import type { StoredModel } from './store.ts';
import { modelA, modelB, seededBytes } from './store.suite.ts';

const layers = (sizes: readonly number[]) => new Map(sizes.map((bytes, i) => [layerShard(i), bytes]));
const model = (manifest: ManifestHash, sizes: readonly number[], files = 10): StoredModel => ({
  manifest,
  bytes: sizes.reduce((sum, bytes) => sum + bytes, files),
  shards: layers(sizes),
});
/** Model A is wanted as its layers say, model B not at all. */
const worthOfA =
  (...worths: number[]): ShardWorth =>
  (manifest, shard) =>
    manifest === modelA ? (worths[Number(shard.slice('layer-'.length))] ?? 0) : 0;

describe('free room', () => {
  it('drops models that nobody wants whole and first, then the least wanted shards, no more than needed', () => {
    const models = [model(modelA, [100, 100, 100]), model(modelB, [50, 50])];
    const plan = (bytes: number) => planRoom(models, { bytes, forWorth: 9, worth: worthOfA(3, 1, 2) });
    expect(plan(0)).toEqual([]);
    expect(plan(1)).toEqual([{ manifest: modelB, bytes: 110 }]);
    expect(plan(111)).toEqual([
      { manifest: modelB, bytes: 110 },
      { manifest: modelA, shards: ['layer-1'], bytes: 100 },
    ]);
    expect(plan(9999).map(({ shards }) => shards?.[0])).toEqual([undefined, 'layer-1', 'layer-2', 'layer-0']);
  });

  it('never drops what is worth as much as what the room is for', () => {
    const worths = fc.array(fc.nat(4), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(worths, fc.nat(1000), fc.nat(5), (values, bytes, forWorth) => {
        const worth = worthOfA(...values);
        const models = [
          model(
            modelA,
            values.map((_, i) => 50 + i),
          ),
          model(modelB, [80]),
        ];
        const plan = planRoom(models, { bytes, forWorth, worth });
        const dropped = plan.flatMap(({ manifest, shards }) => (shards ?? []).map((shard) => worth(manifest, shard)));
        for (const value of dropped) expect(value).toBeLessThan(forWorth);
        expect(dropped).toEqual([...dropped].sort((a, b) => a - b));
        const freed = plan.map((it) => it.bytes).reduce((sum, more) => sum + more, 0);
        expect(freed - (plan.at(-1)?.bytes ?? 0)).toBeLessThan(Math.max(bytes, 1));
      }),
    );
  });

  it('makes a full store take what is worth more', async () => {
    const store = memoryStore({ capBytes: 300 });
    for (const i of [0, 1, 2])
      await store.put({ manifest: modelA, shard: layerShard(i), chunk: 0 }, seededBytes(100, i));
    const wanted = { manifest: modelA, shard: layerShard(5), chunk: 0 };
    expect(await store.put(wanted, seededBytes(100, 5))).toBe('full');
    const room = { bytes: 100, forWorth: 4, worth: worthOfA(3, 1, 2) };
    expect(await freeRoom(store, room)).toEqual([{ manifest: modelA, shards: ['layer-1'], bytes: 100 }]);
    expect(await store.put(wanted, seededBytes(100, 5))).toBe('stored');
    expect([...(await store.held(modelA)).keys()].sort()).toEqual(['layer-0', 'layer-2', 'layer-5']);
  });

  it('collects the models that are not kept', async () => {
    const store = memoryStore();
    await store.put({ manifest: modelA, shard: embeddingShard, chunk: 0 }, seededBytes(100, 1));
    await store.put({ manifest: modelB, shard: headShard, chunk: 0 }, seededBytes(70, 2));
    await store.putFile(modelB, 'config.json', seededBytes(7, 3));
    expect(await collectModels(store, new Set([modelA]))).toBe(77);
    expect([store.usedBytes, (await store.models()).map(({ manifest }) => manifest)]).toEqual([100, [modelA]]);
  });
});
