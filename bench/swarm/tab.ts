/** A tab of the benchmark, driven by bench/swarm.ts through `window.swarmTab`: gives or fetches, in whatever way it is told. */
import { bytesToHex, decodeManifest, hashManifest, limits, shardEntry } from '@unfed/protocol';
import { idbStore, type ChunkStore } from '@unfed/swarm';
import { RawRival } from './raw-rival.ts';
import type { Place, Rival, Setup } from './rival.ts';
import { UnfedRival } from './unfed-rival.ts';
import { WebTorrentRival } from './webtorrent-rival.ts';
import { chunkOf, shard } from './work.ts';

export type RivalName = 'raw' | 'unfed' | 'webTorrent' | 'webTorrentIdb';

export class SwarmTab {
  readonly #raw = new RawRival();
  readonly #rivals: Readonly<Record<RivalName, Rival>> = {
    raw: this.#raw,
    unfed: new UnfedRival(),
    webTorrent: new WebTorrentRival('own'),
    webTorrentIdb: new WebTorrentRival('ours'),
  };
  #place: Place | undefined;

  /** Puts all chunks into this profile's store, unless they are there. */
  async fill(setup: Setup): Promise<void> {
    const { hash, manifest, store } = await this.#open(setup);
    const held = new Set((await store.held(hash)).get(shard));
    for (const chunk of shardEntry(manifest, shard).chunks.keys()) {
      if (!held.has(chunk)) await store.put({ manifest: hash, shard, chunk }, chunkOf(chunk));
    }
  }

  async give(name: RivalName, setup: Setup): Promise<void> {
    await this.#rivals[name].give(await this.#open(setup));
  }

  async prepare(name: RivalName, setup: Setup): Promise<void> {
    const place = await this.#open(setup);
    await place.store.drop(place.hash);
    await this.#rivals[name].prepare(place);
  }

  /** @returns ms from the call to the last byte stored */
  async fetch(name: RivalName): Promise<number> {
    const { manifest, store } = this.#ready();
    const rival = this.#rivals[name];
    const startMs = performance.now();
    const stored = allStored(store, shardEntry(manifest, shard).bytes);
    const fetched = rival.fetch(this.#ready());
    if (rival.readBack === undefined) await Promise.race([stored, fetched.then(() => stored)]);
    else await fetched;
    return performance.now() - startMs;
  }

  /** @throws when anything but what the manifest names was stored */
  async check(name: RivalName): Promise<void> {
    const { manifest, hash, store } = this.#ready();
    const { readBack = (chunk: number) => store.get({ manifest: hash, shard, chunk }) } = this.#rivals[name];
    for (const [chunk, expected] of shardEntry(manifest, shard).chunks.entries()) {
      const bytes = await readBack(chunk);
      const came =
        bytes === undefined ? 'nothing' : bytesToHex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
      if (came !== bytesToHex(expected))
        throw new Error(`chunk ${chunk}: expected ${bytesToHex(expected)}, came ${came}`);
    }
  }

  answer(offer: string): Promise<string> {
    return this.#raw.answer(offer);
  }

  #ready(): Place {
    if (this.#place === undefined) throw new Error('prepare() first');
    return this.#place;
  }

  async #open(setup: Setup): Promise<Place> {
    const bytes = Uint8Array.from(setup.manifest);
    const store = await idbStore({ name: 'swarm-benchmark' });
    this.#place = { setup, manifest: decodeManifest(bytes), hash: hashManifest(bytes), store };
    return this.#place;
  }
}

/** Chunks are large and whatever else a rival keeps is small: as many bytes as the shard has are all of its chunks. */
function allStored(store: ChunkStore, bytes: number): Promise<void> {
  if (bytes % limits.chunkBytes !== 0) throw new Error(`expected whole chunks, came ${bytes} bytes`);
  return new Promise((resolve) => {
    store.onChange(() => {
      if (store.usedBytes >= bytes) resolve();
    });
  });
}

declare global {
  interface Window {
    swarmTab: SwarmTab;
  }
}
window.swarmTab = new SwarmTab();
