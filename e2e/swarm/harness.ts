/**
 * A peer of the page with everything real but the engine, which takes layers and computes nothing: 256 MiB are fetched,
 * verified, stored and passed on. Driven by e2e/swarm.spec.ts through `window.weightsTab`.
 */
import type { Peer, RelayInfo } from '@unfed/client';
import { createPeerOn, memoryGuardStore, type Platform } from '@unfed/client/create-peer';
import type { Engine, SpanRunner } from '@unfed/engine';
import { createNetwork } from '@unfed/network';
import { shardEntry, spanShards, type ManifestHash, type Span } from '@unfed/protocol';
import { askToKeep, httpSeed, idbStore, type ChunkStore } from '@unfed/swarm';

export interface TabOptions {
  /** Of the database: tabs of one name share it. */
  readonly name: string;
  readonly capBytes?: number;
  /** Gives wrong bytes of every so manieth chunk. */
  readonly liesEvery?: number;
}

class WeightsTab {
  #peer: Peer | undefined;
  #store: ChunkStore | undefined;
  #manifest: ManifestHash | undefined;
  /** Bytes of layers that the engine was given. */
  loadedBytes = 0;
  /** Chunks that other tabs verified, by the name of their store. */
  readonly verified = new Map<string, number>();

  constructor() {
    new BroadcastChannel(verifiedChannel).addEventListener('message', ({ data }: MessageEvent<string>) =>
      this.verified.set(data, (this.verified.get(data) ?? 0) + 1),
    );
  }

  get peer(): Peer {
    if (this.#peer === undefined) throw new Error('start() first');
    return this.#peer;
  }

  get store(): ChunkStore {
    if (this.#store === undefined) throw new Error('start() first');
    return this.#store;
  }

  async start({ name, capBytes, liesEvery }: TabOptions): Promise<void> {
    const relay = (await (await fetch('/relay.json')).json()) as RelayInfo;
    this.#manifest = relay.models[0]?.manifest as ManifestHash;
    const store = await idbStore({ name });
    this.#store = store;
    const given = counting(liesEvery === undefined ? store : lying(store, liesEvery), name);
    const platform: Platform = {
      createNetwork,
      createEngine: async () => this.#engine(),
      openStore: async () => ({ store: given, durable: true, note: '' }),
      openGuardStore: memoryGuardStore,
      askToKeep,
    };
    this.#peer = await createPeerOn(platform, { relay, modelsUrl: new URL('/models', location.href).href });
    if (capBytes !== undefined) this.#peer.weights.setCaps({ storeBytes: capBytes });
  }

  /** Begins to donate; `state` says how it goes. */
  donate(span: Span): void {
    const manifest = this.#manifest;
    if (manifest === undefined) throw new Error('start() first');
    void this.peer.donation.start({ manifest, span, memoryBytesMax: 2 ** 40 });
  }

  get state(): { kind: string; span: string; error: string } {
    const { state } = this.peer.donation;
    const span = 'span' in state ? `${state.span.first}-${state.span.last}` : '';
    return { kind: state.kind, span, error: state.kind === 'failed' ? state.error.message : '' };
  }

  /** Chunks of the store that are not what the manifest says, and how many there are in all. */
  async check(): Promise<{ chunks: number; wrong: number }> {
    const hash = this.#manifest;
    if (hash === undefined) throw new Error('start() first');
    const { manifest } = await httpSeed({ baseUrl: '/models' }).manifest(hash);
    let [chunks, wrong] = [0, 0];
    for (const [shard, held] of await this.store.held(hash)) {
      const entry = shardEntry(manifest, shard);
      for (const chunk of held) {
        const bytes = await this.store.get({ manifest: hash, shard, chunk });
        const hashed = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes ?? new Uint8Array()));
        const expected = entry.chunks[chunk] ?? new Uint8Array();
        chunks++;
        if (hashed.some((byte, i) => byte !== expected[i])) wrong++;
      }
    }
    return { chunks, wrong };
  }

  #engine(): Engine {
    const engine: Pick<Engine, 'backend' | 'note' | 'loadSpan' | 'measure' | 'dispose'> = {
      backend: 'wasm',
      note: '',
      loadSpan: async ({ span }, shards) => {
        for (const id of spanShards(span)) this.loadedBytes += (await shards(id)).byteLength;
        const runner: Pick<SpanRunner, 'backend' | 'span' | 'dispose'> = {
          backend: 'wasm',
          span,
          dispose: async () => undefined,
        };
        return runner as SpanRunner;
      },
      measure: async () => 1,
      dispose: async () => undefined,
    };
    return engine as Engine;
  }
}

/** A store whose reader gets wrong bytes now and then: what a peer that lies gives to others. */
const lying = (store: ChunkStore, every: number): ChunkStore =>
  overridden(store, {
    async get(...args) {
      const bytes = await store.get(...args);
      if (bytes !== undefined && args[0].chunk % every === every - 1) bytes[0] ^= 1;
      return bytes;
    },
  });

/** Where tabs tell of each chunk that they verified: what a tab had that is killed, another one knows. */
const verifiedChannel = 'unfed-verified-chunks';

/** A store that tells other tabs, under its name, of each chunk that comes to be kept. */
function counting(store: ChunkStore, name: string): ChunkStore {
  const channel = new BroadcastChannel(verifiedChannel);
  return overridden(store, {
    put(...args) {
      channel.postMessage(name);
      return store.put(...args);
    },
  });
}

function overridden(store: ChunkStore, methods: Partial<Pick<ChunkStore, 'get' | 'put'>>): ChunkStore {
  return new Proxy(store, {
    get(target, key) {
      const value: unknown = Reflect.get(key in methods ? methods : target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
    set: (target, key, value) => Reflect.set(target, key, value, target),
  });
}

export type { WeightsTab };

declare global {
  interface Window {
    weightsTab: WeightsTab;
  }
}
window.weightsTab = new WeightsTab();
