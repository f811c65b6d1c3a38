import { layerShard, type Architecture, type Span } from '@unfed/protocol';
import { createSwarm, memoryStore, SourceError, type ChunkStore, type RawFiles, type Swarm } from '@unfed/swarm';
import { createMemoryNetwork, type MemoryNetwork } from '@unfed/testing';
import { randomShards, type RandomShards } from '@unfed/testing/node';
import { identityFromSeed, manifestFileName, shardFileName } from '@unfed/protocol';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { fetchSpan, type FetchedSpan } from './fetch-span.ts';

const mebibyte = 1 << 20;
/** Four layers of 2.5 MiB, three chunks each. */
const architecture: Architecture = {
  family: 'llama',
  layers: 4,
  width: 512,
  ffnWidth: 2048,
  heads: 8,
  kvHeads: 8,
  headSize: 64,
  vocabulary: 512,
  contextLength: 128,
  normEpsilon: 1e-5,
  ropeTheta: 10_000,
  ropeScaling: null,
  slidingWindow: null,
  qkvBias: false,
  outputBias: false,
  qkNorm: false,
  tiedEmbeddings: true,
};
const all: Span = { first: 0, last: 4 };
let model: RandomShards;
let layerBytes: number;
let network: MemoryNetwork;
let swarm: Swarm;
/** What the seed gives is changed by it, or refused. */
let bend: (path: string) => void;

beforeAll(async () => {
  model = await randomShards(architecture, 1);
  layerBytes = model.manifest.shards[1].bytes;
});
beforeEach(() => {
  network = createMemoryNetwork({ seed: 1 });
  bend = () => undefined;
});
afterEach(() => {
  swarm.stop();
  network.stop();
});

const seed: RawFiles = {
  async *read({ path, start, until }) {
    bend(path);
    const name = path.slice(path.indexOf('/') + 1);
    const entry = model.manifest.shards.find(({ id }) => shardFileName(id) === name);
    const bytes = entry === undefined ? model.manifestBytes : model.shard(entry.id);
    yield bytes.subarray(start, until);
  },
};

function fetchOn(store: ChunkStore, more: { durable?: boolean; span?: Span; signal?: AbortSignal } = {}) {
  const { durable = true, span = all, signal = new AbortController().signal } = more;
  const identity = identityFromSeed(new Uint8Array(32).fill(1));
  swarm = createSwarm({
    links: network.peer(identity),
    directory: network.directory(identity.peer),
    store,
    seed,
  });
  const shown: number[] = [];
  const onProgress = (_: Span, bytes: number) => void shown.push(bytes);
  const { hash, manifest } = model;
  const done: Promise<FetchedSpan> = fetchSpan({ swarm, store, durable, hash, manifest, span, signal, onProgress });
  return { done, shown };
}

/** Layers of which every chunk is stored. */
async function wholeLayers(store: ChunkStore): Promise<number[]> {
  const held = await store.held(model.hash);
  return [0, 1, 2, 3].filter(
    (layer) => held.get(layerShard(layer))?.length === model.manifest.shards[layer + 1].chunks.length,
  );
}

/** A store that says so late that it is full, as a browser's quota does: its cap promises more. */
function liar(roomBytes: number): ChunkStore {
  const store = memoryStore({ capBytes: roomBytes });
  return new Proxy(store, {
    get(target, key) {
      const value: unknown = key === 'capBytes' ? Infinity : Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

describe('fetching a span', () => {
  it('stores every layer where there is room, and says how far it is', async () => {
    const store = memoryStore();
    const { done, shown } = fetchOn(store);
    expect(await done).toEqual({ span: all, kept: true });
    expect(shown.at(-1)).toBe(4 * layerBytes);
    expect(shown).toEqual(shown.toSorted((a, b) => a - b));
  });

  it.each([1, 2, 3])('gives up layers from its end until %i fit below the cap of the store', async (layers) => {
    const store = memoryStore({ capBytes: layers * layerBytes + mebibyte });
    const { done } = fetchOn(store);
    expect(await done).toEqual({ span: { first: 0, last: layers }, kept: true });
    expect(await wholeLayers(store)).toEqual([0, 1, 2, 3].slice(0, layers));
  });

  it('gives up layers from its end when a quota stops it midway', async () => {
    const store = liar(2 * layerBytes + mebibyte);
    const { span, kept } = await fetchOn(store).done;
    expect(kept).toBe(true);
    expect(span.last).toBeLessThanOrEqual(2);
    expect(await wholeLayers(store)).toEqual(expect.arrayContaining([0]));
  });

  it('drops what nobody wants before it gives anything up', async () => {
    const store = memoryStore({ capBytes: 2 * layerBytes + mebibyte });
    await fetchOn(store, { span: { first: 2, last: 4 } }).done;
    swarm.stop();
    expect(await fetchOn(store, { span: { first: 0, last: 2 } }).done).toEqual({
      span: { first: 0, last: 2 },
      kept: true,
    });
    expect(await wholeLayers(store)).toEqual([0, 1]);
  });

  it('never fails for lack of room: one layer is served without being kept', async () => {
    const store = memoryStore({ capBytes: mebibyte });
    expect(await fetchOn(store).done).toEqual({ span: { first: 0, last: 1 }, kept: false });
    const bytes = await swarm.shard(model.manifest, layerShard(0));
    expect(Buffer.compare(bytes, model.shard(layerShard(0)))).toBe(0);
  });

  it('serves all layers of a store in memory, although it keeps fewer', async () => {
    const store = memoryStore({ capBytes: layerBytes + mebibyte });
    expect(await fetchOn(store, { durable: false }).done).toEqual({ span: all, kept: false });
  });

  it('ends with why the layers cannot be had', async () => {
    bend = (path) => {
      if (path.endsWith(manifestFileName)) return;
      throw new SourceError({ failure: 'not-found', path, transient: false }, 'gone');
    };
    await expect(fetchOn(memoryStore()).done).rejects.toMatchObject({ code: 'source-not-found' });
  });

  it('ends when it is told to, and when the model is deleted meanwhile', async () => {
    const abort = new AbortController();
    const told = fetchOn(memoryStore(), { signal: abort.signal }).done;
    abort.abort(new Error('enough'));
    await expect(told).rejects.toThrow('enough');
    swarm.stop();
    const { done } = fetchOn(memoryStore());
    swarm.pause();
    await new Promise<void>((resolve) => swarm.onChange(() => swarm.progress.length > 0 && resolve()));
    const deleting = swarm.delete(model.hash);
    await expect(done).rejects.toMatchObject({ code: 'weights-deleted' });
    await deleting;
  });
});
