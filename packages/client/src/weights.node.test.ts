import { join } from 'node:path';
import { ensureDemoModel } from '@unfed/model/node';
import { embeddingShard, identityFromSeed, layerShard, manifestHash, type ManifestHash } from '@unfed/protocol';
import { memoryStore, pieceState, type ChunkStore, type RawFiles } from '@unfed/swarm';
import { folderFiles, folderSource } from '@unfed/swarm/node';
import { createMemoryNetwork, type MemoryNetwork } from '@unfed/testing';
import type { Network } from '@unfed/network';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import * as limits from './limits.ts';
import { createWeights, type PeerWeights, type WeightsParts } from './weights.ts';

const { peer: self } = identityFromSeed(new Uint8Array(32).fill(1));
const [served, known, removed] = ['aa', 'bb', 'cc'].map((pair) => manifestHash(pair.repeat(32)));
const signal = new AbortController().signal;
const modelsDir = join(import.meta.dirname, '../../../build/models');
const noSeed: RawFiles = { read: () => (async function* () {})() };
let memory: MemoryNetwork;
let store: ChunkStore;
let weights: PeerWeights;
let announced: (readonly ManifestHash[])[];
let changed: () => void;

beforeEach(async () => {
  memory = createMemoryNetwork({ seed: 1 });
  store = memoryStore();
  for (const manifest of [served, known, removed]) {
    await store.put({ manifest, shard: layerShard(0), chunk: 0 }, new Uint8Array(8));
  }
  announced = [];
  changed = () => undefined;
  weights = createWeights(partsOf());
});
afterEach(async () => {
  await weights.stop();
  memory.stop();
});

function partsOf(): WeightsParts {
  const links = memory.peer(identityFromSeed(new Uint8Array(32).fill(1)));
  return {
    network: Object.assign(Object.create(links) as Network, {
      open: links.open.bind(links),
      accept: links.accept.bind(links),
      directory: Object.assign(memory.directory(self), { whole: true }),
    }),
    announcer: { exchange: (seeds) => void announced.push(seeds) },
    seed: noSeed,
    seedSource: folderSource(modelsDir),
    openStore: async () => ({ store, durable: true, note: 'kept in memory' }),
    askToKeep: async () => 'kept',
    publisherOf: () => undefined,
    isNeighbour: () => false,
    isBusy: () => false,
    nameOf: (manifest) => manifest.slice(0, 2),
    knownModels: () => [known],
    onChange: () => changed(),
  };
}

/** Waits for a change after which it holds. */
function until(isSo: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    changed = () => isSo() && resolve();
    changed();
  });
}

describe('weights of a peer', () => {
  it('are shown by name while nobody donates, with what they take and what had to give', async () => {
    await until(() => weights.view.models.length === 3);
    const { models, usedBytes, note } = weights.view;
    expect(models.map(({ name, storedBytes, pieces }) => [name, storedBytes, pieces])).toEqual([
      ['aa', 8, []],
      ['bb', 8, []],
      ['cc', 8, []],
    ]);
    expect([usedBytes, note, announced]).toEqual([24, 'kept in memory', []]);
  });

  it('of models that nobody knows are collected when a donation joins, and the browser is asked to keep the rest', async () => {
    await weights.join(served, signal);
    await until(() => weights.view.models.length === 2 && weights.view.kept === 'kept');
    expect(weights.view.models.map(({ manifest }) => manifest)).toEqual([served, known]);
  });

  it('are announced no longer when the donation leaves', async () => {
    await weights.join(served, signal);
    weights.leave();
    expect(announced.at(-1)).toEqual([]);
  });

  it('are not exchanged for a donation that ended while it joined', async () => {
    const abort = new AbortController();
    const joining = weights.join(served, abort.signal);
    abort.abort(new Error('stopped'));
    await expect(joining).rejects.toThrow('stopped');
    weights.leave();
    expect(announced).toEqual([]);
  });

  it('are deleted with and without a swarm', async () => {
    await weights.delete(removed);
    await weights.join(served, signal);
    await weights.delete(known);
    await until(() => weights.view.models.length === 1);
    expect(weights.view.models[0].manifest).toBe(served);
  });

  it('of the ends are kept for the next question, and no peer hears of them', async () => {
    const { hash, manifest } = await ensureDemoModel(modelsDir);
    const asking = createWeights({ ...partsOf(), seed: folderFiles(modelsDir) });
    const embedding = await asking.source.shard((await asking.source.manifest(hash)).manifest, embeddingShard);
    const again = await weights.source.shard((await weights.source.manifest(hash)).manifest, embeddingShard);
    expect(Buffer.compare(again, embedding)).toBe(0);
    await weights.join(hash, signal);
    await until(() => announced.length > 0 && weights.view.models.some(({ storedBytes }) => storedBytes > 1000));
    expect(announced.flat()).not.toContain(hash);
    expect((await store.held(hash)).get(embeddingShard)).toHaveLength(manifest.shards[0].chunks.length);
  }, 120_000);

  it('of layers that somebody asks for are not kept, as they could not be told from those that are served', async () => {
    const { hash, manifest } = await ensureDemoModel(modelsDir);
    await weights.source.shard(manifest, layerShard(0));
    expect((await store.held(hash)).size).toBe(0);
  }, 120_000);

  it('are shown with their map while nobody donates', async () => {
    const { hash, manifest } = await ensureDemoModel(modelsDir);
    const asking = createWeights({ ...partsOf(), seed: folderFiles(modelsDir) });
    await asking.source.shard((await asking.source.manifest(hash)).manifest, embeddingShard);
    await until(() => weights.view.models.some(({ pieces }) => pieces.length > 0));
    const shown = weights.view.models.find((model) => model.manifest === hash);
    expect(shown).toMatchObject({ name: manifest.name, wantedBytes: 0 });
    expect(shown?.pieces.map(({ states }) => [...new Set(states)])).toEqual(
      manifest.shards.map(({ id }) => [pieceState(id === embeddingShard ? 'held' : 'other')]),
    );
    await weights.join(hash, signal);
    weights.leave();
    await until(() => weights.view.models.some(({ pieces }) => pieces.length > 0));
  }, 120_000);

  it('of the ends are not kept where nothing lasts', async () => {
    const { hash, manifest } = await ensureDemoModel(modelsDir);
    const passing = createWeights({ ...partsOf(), openStore: async () => ({ store, durable: false, note: '' }) });
    await passing.source.shard(manifest, embeddingShard);
    expect((await store.held(hash)).size).toBe(0);
  }, 120_000);

  it('obey a cap that was set before the store was open', async () => {
    weights.setCaps({ storeBytes: 12 });
    await until(() => weights.view.models.length === 3);
    expect([store.capBytes, weights.view.capBytes]).toEqual([12, 12]);
  });

  it('in memory obey the cap too, and never take more than memory is lent', async () => {
    const passing = createWeights({ ...partsOf(), openStore: async () => ({ store, durable: false, note: '' }) });
    const capFor = async (storeBytes: number): Promise<number> => {
      passing.setCaps({ storeBytes });
      await until(() => passing.view.models.length === 3);
      return passing.view.capBytes;
    };
    expect([await capFor(100), await capFor(2 ** 40), await capFor(50)]).toEqual([100, limits.memoryStoreBytesMax, 50]);
  });
});
