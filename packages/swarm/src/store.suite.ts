/**
 * What every chunk store must do, as cases that run anywhere: under vitest in memory and on files, in a real page on
 * IndexedDB. A case throws when its rule is broken.
 */
import * as protocol from '@unfed/protocol';
import { layerShard, limits, type ManifestHash, type ShardEntry } from '@unfed/protocol';
import { seededRandom } from '@unfed/testing';
import fc from 'fast-check';
import type { StoreOptions } from './backed-store.ts';
import { sha256 } from './sha256.ts';
import type { ChunkAddress, ChunkStore, StoreChange } from './store.ts';

/** What stores write to; empty at the start of a case. */
export interface StoreMedium {
  /** Stores opened on one medium share what they hold; earlier ones may still be open. */
  open(options?: StoreOptions): Promise<ChunkStore>;
  /** Replaces a chunk behind the stores' backs, as a failing disk would; null removes its bytes but not its name. */
  damage?(address: ChunkAddress, bytes: Uint8Array<ArrayBuffer> | null): Promise<void>;
}

export interface StoreCase {
  /** The rule that it checks. */
  readonly name: string;
  /** Only where what is written outlives the store that wrote it. */
  readonly persistent?: true;
  run(medium: StoreMedium): Promise<void>;
}

export const modelA = 'a'.repeat(64) as ManifestHash;
export const modelB = 'b'.repeat(64) as ManifestHash;
const at = (layer: number, chunk: number, manifest = modelA): ChunkAddress => ({
  manifest,
  shard: layerShard(layer),
  chunk,
});

export function seededBytes(length: number, seed: number): Uint8Array<ArrayBuffer> {
  const random = seededRandom(seed);
  return Uint8Array.from({ length }, () => Math.floor(random() * 256));
}

/** A shard of full chunks and a short last one. */
export async function suiteShard(layer: number, chunks: number) {
  const bytes = seededBytes((chunks - 1) * limits.chunkBytes + 4321, layer + 1);
  const chunk = (i: number) => bytes.slice(i * limits.chunkBytes, (i + 1) * limits.chunkBytes);
  const hashes = await Promise.all(Array.from({ length: chunks }, async (_, i) => copy(await sha256(chunk(i)))));
  const entry: ShardEntry = { id: layerShard(layer), bytes: bytes.byteLength, chunks: hashes };
  return { entry, bytes, chunk };
}

const copy = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes);
type SuiteShard = Awaited<ReturnType<typeof suiteShard>>;

function same(came: unknown, expected: unknown, what: string): void {
  const [left, right] = [JSON.stringify(came), JSON.stringify(expected)];
  if (left !== right) throw new Error(`${what}: expected ${right}, came ${left}`);
}

function sameBytes(came: Uint8Array | undefined, expected: Uint8Array, what: string): void {
  if (came === undefined) throw new Error(`${what}: expected ${expected.byteLength} bytes, came none`);
  const wrong = expected.findIndex((byte, i) => byte !== came[i]);
  same([came.byteLength, wrong], [expected.byteLength, -1], what);
}

async function failure(promise: Promise<unknown>): Promise<{ code?: unknown; chunks?: unknown }> {
  return promise.then(
    () => ({ code: 'nothing was thrown' }),
    (error: unknown) => error as { code?: unknown; chunks?: unknown },
  );
}

const heldIn = async (store: ChunkStore, manifest = modelA): Promise<Record<string, readonly number[]>> =>
  Object.fromEntries([...(await store.held(manifest))].sort(([a], [b]) => (a < b ? -1 : 1)));

async function putAll(store: ChunkStore, shard: SuiteShard): Promise<void> {
  const puts = shard.entry.chunks.map((_, i) => store.put({ ...at(0, i), shard: shard.entry.id }, shard.chunk(i)));
  same(
    await Promise.all(puts),
    puts.map(() => 'stored'),
    'puts',
  );
}

/** Puts what is missing until the shard can be put together, as a download does. @returns how many were put */
async function completeAndCompare(store: ChunkStore, shard: SuiteShard): Promise<number> {
  let put = 0;
  for (let tries = 0; tries < 3; tries++) {
    try {
      sameBytes(await store.assemble(modelA, shard.entry), shard.bytes, 'the shard');
      return put;
    } catch (error) {
      if (!(error instanceof protocol.UnfedError && 'chunks' in error)) throw error;
      for (const i of error.chunks as number[]) {
        same(await store.put({ ...at(0, i), shard: shard.entry.id }, shard.chunk(i)), 'stored', 'put again');
        put++;
      }
    }
  }
  throw new Error('expected the shard to be complete after its missing chunks were put, came yet more missing');
}

const keeping: StoreCase[] = [
  {
    name: 'gives back what it was given, by model, shard and chunk',
    async run(medium) {
      const store = await medium.open();
      const puts = [at(0, 2), at(0, 0), at(10, 11), at(10, 2), at(0, 0, modelB)];
      for (const [i, address] of puts.entries()) {
        same(await store.put(address, seededBytes(100 + i, i)), 'stored', 'put');
      }
      for (const [i, address] of puts.entries()) {
        sameBytes(await store.get(address), seededBytes(100 + i, i), 'get');
      }
      same(await heldIn(store), { 'layer-0': [0, 2], 'layer-10': [2, 11] }, 'held of a');
      same(await heldIn(store, modelB), { 'layer-0': [0] }, 'held of b');
      same(await store.get(at(0, 1)), undefined, 'a chunk never put');
      await store.close();
    },
  },
  {
    name: 'keeps more puts at once than fit a batch, and the same chunk once',
    async run(medium) {
      const store = await medium.open();
      const told: StoreChange[] = [];
      store.onChange((change) => told.push(change));
      const twice = [...Array(20).keys(), ...Array(20).keys()];
      const results = await Promise.all(twice.map((i) => store.put(at(0, i), seededBytes(50, i))));
      same(new Set(results).size, 1, 'kinds of results');
      same(store.usedBytes, 1000, 'used bytes');
      const before = told.length;
      same(await store.put(at(0, 3), seededBytes(50, 3)), 'stored', 'a put again');
      same(told.length, before, 'changes told of a put that changed nothing');
      await store.close();
    },
  },
  {
    name: 'answers full above its cap, for each put by itself, and stays usable',
    async run(medium) {
      const store = await medium.open({ capBytes: 1000 });
      const sizes = [400, 400, 400, 100, 200, 100];
      const results = await Promise.all(sizes.map((size, i) => store.put(at(0, i), seededBytes(size, i))));
      same(results, ['stored', 'stored', 'full', 'stored', 'full', 'stored'], 'fates');
      same([await heldIn(store), store.usedBytes], [{ 'layer-0': [0, 1, 3, 5] }, 1000], 'held');
      store.capBytes = 1400;
      same(await store.put(at(0, 2), seededBytes(400, 2)), 'stored', 'above the old cap');
      store.capBytes = 500;
      same(await store.put(at(0, 9), seededBytes(1, 9)), 'full', 'under a cap below what is used');
      same(await store.put(at(0, 2), seededBytes(400, 2)), 'stored', 'what is there already');
      sameBytes(await store.get(at(0, 0)), seededBytes(400, 0), 'what was there before');
      await store.close();
    },
  },
  {
    name: 'keeps small files apart from chunks, and refuses names that are paths',
    async run(medium) {
      const store = await medium.open({ capBytes: 5000 });
      same(await store.putFile(modelA, 'tokenizer_config.json', seededBytes(3000, 1)), 'stored', 'put');
      same(await store.putFile(modelA, 'manifest.cbor', seededBytes(3000, 2)), 'full', 'above the cap');
      sameBytes(await store.getFile(modelA, 'tokenizer_config.json'), seededBytes(3000, 1), 'get');
      same(await store.getFile(modelB, 'tokenizer_config.json'), undefined, 'of another model');
      same([await heldIn(store), store.usedBytes], [{}, 3000], 'held');
      for (const name of ['../../x.json', 'layer-0', 'a/b.json', '.json', '']) {
        same((await failure(store.getFile(modelA, name))).code, 'invalid-value', name);
      }
      await store.close();
    },
  },
  {
    name: 'counts models, and drops shards or a whole model and nothing else',
    async run(medium) {
      const store = await medium.open();
      for (const i of [0, 1, 2]) await store.put(at(i, 0), seededBytes(100, i));
      await store.put(at(1, 1), seededBytes(11, 1));
      await store.putFile(modelA, 'config.json', seededBytes(7, 7));
      await store.put(at(1, 0, modelB), seededBytes(40, 4));
      const counted = (await store.models()).map(({ manifest, bytes, shards }) => [
        manifest[0],
        bytes,
        [...shards].sort(),
      ]);
      const shards = [
        ['layer-0', 100],
        ['layer-1', 111],
        ['layer-2', 100],
      ];
      same(
        counted.sort(),
        [
          ['a', 318, shards],
          ['b', 40, [['layer-1', 40]]],
        ],
        'models',
      );
      await store.drop(modelA, [layerShard(1), layerShard(9)]);
      same([await heldIn(store), store.usedBytes], [{ 'layer-0': [0], 'layer-2': [0] }, 247], 'after one shard');
      same((await store.getFile(modelA, 'config.json'))?.byteLength, 7, 'the small file');
      await store.drop(modelA);
      same([await heldIn(store), await heldIn(store, modelB)], [{}, { 'layer-1': [0] }], 'after the model');
      same([(await store.models()).length, store.usedBytes], [1, 40], 'models left');
      await store.close();
    },
  },
  {
    name: 'tells of changes with their model, until told to stop',
    async run(medium) {
      const store = await medium.open();
      const told: StoreChange[] = [];
      const stop = store.onChange((change) => told.push(change));
      await store.put(at(0, 0, modelB), seededBytes(10, 1));
      await store.drop(modelB);
      stop();
      await store.put(at(0, 1), seededBytes(10, 1));
      const expected = [
        { manifest: modelB, what: 'stored', elsewhere: false },
        { manifest: modelB, what: 'dropped', elsewhere: false },
      ];
      same(told, expected, 'changes');
      await store.close();
    },
  },
  {
    name: 'finishes what is under way when it is closed, and refuses what comes later',
    async run(medium) {
      const store = await medium.open();
      const puts = Array.from({ length: 12 }, (_, i) => store.put(at(0, i), seededBytes(20, i)));
      await store.close();
      same(new Set(await Promise.all(puts)).size, 1, 'kinds of results');
      same((await failure(store.put(at(0, 0), seededBytes(20, 0)))).code, 'store', 'a put afterwards');
      same((await failure(store.held(modelA))).code, 'store', 'a read afterwards');
    },
  },
  {
    name: 'holds what a list of its puts and drops says, whatever their order',
    async run(medium) {
      const step = fc.oneof(
        fc.record({ kind: fc.constant('put' as const), layer: fc.nat(3), chunk: fc.nat(3), size: fc.nat(60) }),
        fc.record({ kind: fc.constant('drop' as const), layer: fc.nat(3) }),
      );
      const store = await medium.open({ capBytes: 300 });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
          await store.drop(modelA);
          const expected = new Map<string, number>();
          for (const it of steps) {
            if (it.kind === 'drop') {
              await store.drop(modelA, [layerShard(it.layer)]);
              for (const key of [...expected.keys()]) if (key.startsWith(`layer-${it.layer}/`)) expected.delete(key);
              continue;
            }
            const key = `layer-${it.layer}/${it.chunk}`;
            const used = [...expected.values()].reduce((sum, bytes) => sum + bytes, 0);
            const fits = expected.has(key) || used + it.size <= 300;
            same(await store.put(at(it.layer, it.chunk), seededBytes(it.size, 1)), fits ? 'stored' : 'full', 'put');
            if (fits && !expected.has(key)) expected.set(key, it.size);
          }
          const held = [...(await store.held(modelA))].flatMap(([id, chunks]) => chunks.map((i) => `${id}/${i}`));
          same(held.sort(), [...expected.keys()].sort(), 'held');
          same(
            store.usedBytes,
            [...expected.values()].reduce((sum, bytes) => sum + bytes, 0),
            'used bytes',
          );
        }),
        { numRuns: 15 },
      );
      await store.close();
    },
  },
];

const assembling: StoreCase[] = [
  {
    name: 'puts a shard together, and tells progress that adds up to it',
    async run(medium) {
      const [store, shard] = [await medium.open(), await suiteShard(0, 3)];
      await putAll(store, shard);
      const steps: number[] = [];
      const bytes = await store.assemble(modelA, shard.entry, { onProgress: (more) => steps.push(more) });
      sameBytes(bytes, shard.bytes, 'the shard');
      same(steps, [limits.chunkBytes, limits.chunkBytes, 4321], 'progress');
      await store.close();
    },
  },
  {
    name: 'names the chunks that it lacks',
    async run(medium) {
      const [store, shard] = [await medium.open(), await suiteShard(0, 4)];
      for (const i of [3, 1]) await store.put(at(0, i), shard.chunk(i));
      const { code, chunks } = await failure(store.assemble(modelA, shard.entry));
      same([code, chunks], ['chunks-missing', [0, 2]], 'failure');
      same(await completeAndCompare(store, shard), 2, 'chunks put');
      await store.close();
    },
  },
  {
    name: 'never gives a chunk that is not the one of the manifest: it is dropped and asked for again',
    async run(medium) {
      const [store, shard] = [await medium.open(), await suiteShard(0, 3)];
      const changed = shard.chunk(1);
      changed[77] = (changed[77] ?? 0) ^ 1;
      const bad = [shard.chunk(0).subarray(0, 1000), changed, copy(new Uint8Array(0))];
      for (const [i, bytes] of bad.entries()) await store.put(at(0, i), bytes);
      same(await store.get(at(0, 0), shard.entry.chunks[0]), undefined, 'a short chunk by its hash');
      same((await heldIn(store))['layer-0'], [1, 2], 'held after that');
      same(await completeAndCompare(store, shard), 3, 'chunks put again');
      sameBytes(await store.get(at(0, 1), shard.entry.chunks[1]), shard.chunk(1), 'the right chunk by its hash');
      await store.close();
    },
  },
  {
    name: "rejects with the signal's reason, before and between chunks",
    async run(medium) {
      const [store, shard] = [await medium.open(), await suiteShard(0, 3)];
      await putAll(store, shard);
      const [reason, controller] = [new Error('enough'), new AbortController()];
      const early = await failure(store.assemble(modelA, shard.entry, { signal: AbortSignal.abort(reason) }));
      const options = { signal: controller.signal, onProgress: () => controller.abort(reason) };
      const late = await failure(store.assemble(modelA, shard.entry, options));
      same([early === reason, late === reason], [true, true], 'reasons');
      sameBytes(await store.assemble(modelA, shard.entry), shard.bytes, 'the shard afterwards');
      await store.close();
    },
  },
];

const persisting: StoreCase[] = [
  {
    name: 'holds in the next session what it held in this one',
    persistent: true,
    async run(medium) {
      const [first, shard] = [await medium.open(), await suiteShard(0, 3)];
      await putAll(first, shard);
      await first.putFile(modelA, 'config.json', seededBytes(9, 9));
      await first.close();
      const second = await medium.open();
      same(second.usedBytes, shard.bytes.byteLength + 9, 'used bytes');
      sameBytes(await second.assemble(modelA, shard.entry), shard.bytes, 'the shard');
      sameBytes(await second.getFile(modelA, 'config.json'), seededBytes(9, 9), 'the small file');
      await second.close();
    },
  },
  {
    name: 'is shared by two that are open at once: each sees the chunks of both, counted once',
    persistent: true,
    async run(medium) {
      const stores = [await medium.open(), await medium.open()] as const;
      const shard = await suiteShard(0, 5);
      await Promise.all(stores.map((store) => putAll(store, shard)));
      await stores[0].put(at(1, 0), seededBytes(30, 1));
      for (const store of stores) {
        same(await heldIn(store), { 'layer-0': [0, 1, 2, 3, 4], 'layer-1': [0] }, 'held');
        same((await store.models())[0]?.bytes, shard.bytes.byteLength + 30, 'bytes of the model');
        sameBytes(await store.assemble(modelA, shard.entry), shard.bytes, 'the shard');
      }
      await stores[1].drop(modelA);
      same(await heldIn(stores[0]), {}, 'held after the other dropped it');
      for (const store of stores) await store.close();
    },
  },
  {
    name: 'gives the same bytes or asks again, wherever a session ended and whatever the disk did to its chunks',
    persistent: true,
    async run(medium) {
      const shard = await suiteShard(0, 5);
      const order = fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 0, maxLength: 5 });
      const harm = fc.record({ chunk: fc.nat(4), how: fc.constantFrom('flip', 'cut', 'empty') });
      await fc.assert(
        fc.asyncProperty(order, fc.array(harm, { maxLength: 3 }), fc.nat(5), async (chunks, harms, awaited) => {
          const [first, second] = [await medium.open(), await medium.open()];
          await first.drop(modelA);
          // What was not awaited may or may not be there: the session ends under it.
          const puts = chunks.map((i) => first.put(at(0, i), shard.chunk(i)));
          await Promise.all(puts.slice(0, awaited));
          for (const { chunk, how } of harms) {
            if (!chunks.slice(0, awaited).includes(chunk)) continue;
            await medium.damage?.(at(0, chunk), harmed(shard.chunk(chunk), how));
          }
          const sure = new Set(chunks.slice(0, awaited).filter((i) => !harms.some(({ chunk }) => chunk === i)));
          const put = await completeAndCompare(second, shard);
          if (put > 5 - sure.size) throw new Error(`${put} chunks were fetched again though ${sure.size} were right`);
          await Promise.all([...puts, first.close(), second.close()]);
        }),
        { numRuns: 12 },
      );
    },
  },
];

function harmed(bytes: Uint8Array<ArrayBuffer>, how: string): Uint8Array<ArrayBuffer> | null {
  if (how === 'empty') return null;
  if (how === 'cut') return bytes.slice(0, bytes.byteLength >> 1);
  bytes[5] = (bytes[5] ?? 0) ^ 128;
  return bytes;
}

export const chunkStoreSuite: readonly StoreCase[] = [...keeping, ...assembling, ...persisting];
