import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allShards, isShard, model, seedOf, storeWith, world, type TestPeer } from './swarm.fixture.ts';
import { memoryStore } from './store-memory.ts';
import type { ChunkStore } from './store.ts';
import { chunksOf } from './swarm.fixture.ts';

/** The same store, whose page dies when so many chunks were stored: what is put afterwards never ends. */
function dyingAfter(store: ChunkStore, puts: number): { store: ChunkStore; died: Promise<void> } {
  let die: () => void = () => undefined;
  const died = new Promise<void>((resolve) => {
    die = resolve;
  });
  let left = puts;
  let open = 0;
  const dying: ChunkStore = Object.create(store, {
    put: {
      value: (...args: Parameters<ChunkStore['put']>) => {
        const isAlive = left-- > 0;
        const ended = (): void => {
          if (left < 0 && open === 0) die();
        };
        if (!isAlive) {
          ended();
          return new Promise(() => undefined);
        }
        open++;
        return store.put(...args).finally(() => {
          open--;
          ended();
        });
      },
    },
    onChange: { value: store.onChange.bind(store) },
  }) as ChunkStore;
  return { store: bound(dying, store), died };
}

/** Methods of a class with private fields run on the object that has them. */
function bound(outer: ChunkStore, inner: ChunkStore): ChunkStore {
  return new Proxy(outer, {
    get(target, name) {
      if (name === 'put' || name === 'onChange') return Reflect.get(target, name) as unknown;
      const value = Reflect.get(inner, name, inner) as unknown;
      return typeof value === 'function' ? (value.bind(inner) as unknown) : value;
    },
  });
}

const whole = async (peer: TestPeer): Promise<boolean[]> =>
  Promise.all(allShards.map(async (id) => isShard(id, await peer.swarm.shard(model.manifest, id))));

describe('a swarm after a crash', () => {
  it('S3: any order of arrival and any crash point give the same bytes, and little is fetched again', async () => {
    const total = allShards.reduce((sum, id) => sum + chunksOf(id), 0);
    const crashes = fc.record({ puts: fc.nat(total - 1), seed: fc.nat(1000), peers: fc.nat(2) });
    await fc.assert(
      fc.asyncProperty(crashes, async ({ puts, seed, peers }) => {
        const here = world({ seed });
        for (let i = 0; i < peers; i++) here.peer(10 + i, { store: await storeWith() });
        if (peers > 0) await here.announced(peers);
        const kept = memoryStore();
        const { store, died } = dyingAfter(kept, puts);
        const first = here.peer(1, { store, seed: seedOf() });
        void first.swarm.want(model.manifest, allShards);
        await died;
        first.leave();
        const next = here.peer(2, { store: kept, seed: seedOf() });
        expect(await whole(next)).toEqual([true, true, true, true]);
        const [progress] = next.swarm.progress;
        const fetched = (progress?.bytesFromPeers ?? 0) + (progress?.bytesFromSeed ?? 0);
        // At the end some may come twice: who is first is not known before.
        expect(fetched).toBeLessThanOrEqual((total - puts + 2) << 20);
        here.stop();
      }),
      { numRuns: 12 },
    );
  });
});
