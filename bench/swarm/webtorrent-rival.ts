/**
 * WebTorrent as its documents say, without DHT, LSD, PEX and foreign servers. A fetching tab keeps pieces in WebTorrent's own
 * store, as whoever just uses it does, or in ours; a seed reads them from ours, which is faster and was filled already.
 */
import { limits, type ManifestHash } from '@unfed/protocol';
import type { ChunkStore } from '@unfed/swarm';
import WebTorrent, { type Torrent, type TorrentOptions, type TorrentStore } from 'webtorrent/dist/webtorrent.min.js';
import type { Place, Rival } from './rival.ts';
import { shard } from './work.ts';

export class WebTorrentRival implements Rival {
  readonly readBack?: (chunk: number) => Promise<Uint8Array<ArrayBuffer>>;
  #client: WebTorrent | undefined;
  #torrent: Torrent | undefined;

  constructor(keepsIn: 'own' | 'ours') {
    if (keepsIn === 'own') this.readBack = (chunk) => this.#readBack(chunk);
  }

  async give(place: Place): Promise<void> {
    this.#start();
    // A seed's store is trusted, as its owner filled it.
    const torrent = this.#add(place, { store: storeOver(place.store, place.hash), skipVerify: true });
    await Promise.all([happened(torrent, 'ready'), happened(torrent, 'trackerAnnounce')]);
  }

  async prepare(): Promise<void> {
    this.#start();
    // Its own store lies in the page's private files, and would go on with what an earlier round left.
    const files = await navigator.storage.getDirectory();
    for await (const name of files.keys()) await files.removeEntry(name, { recursive: true });
  }

  fetch(place: Place): Promise<void> {
    const options = this.readBack === undefined ? { store: storeOver(place.store, place.hash) } : {};
    this.#torrent = this.#add(place, options);
    return happened(this.#torrent, 'done');
  }

  #start(): void {
    this.#client = new WebTorrent({ dht: false, lsd: false, utPex: false, tracker: { rtcConfig: { iceServers: [] } } });
  }

  #add({ setup }: Place, options: TorrentOptions): Torrent {
    if (this.#client === undefined) throw new Error('prepare() first');
    return this.#client.add(Uint8Array.from(setup.torrent), options);
  }

  #readBack(chunk: number): Promise<Uint8Array<ArrayBuffer>> {
    return new Promise((resolve, reject) => {
      this.#torrent?.store.get(chunk, (error, bytes) =>
        bytes === undefined ? reject(error ?? new Error(`no piece ${chunk}`)) : resolve(bytes),
      );
    });
  }
}

function happened(torrent: Torrent, event: 'ready' | 'done' | 'trackerAnnounce'): Promise<void> {
  return new Promise((resolve, reject) => {
    torrent.on('error', reject);
    torrent.once(event, resolve);
  });
}

/** The interface abstract-chunk-store over ours: pieces are chunks, and the cache above it always reads whole ones. */
function storeOver(store: ChunkStore, manifest: ManifestHash): new () => TorrentStore {
  return class implements TorrentStore {
    readonly chunkLength = limits.chunkBytes;

    put(chunk: number, bytes: Uint8Array<ArrayBuffer>, done: (error: Error | null) => void): void {
      store.put({ manifest, shard, chunk }, bytes).then(() => done(null), done);
    }

    get(chunk: number, done: (error: Error | null, bytes?: Uint8Array<ArrayBuffer>) => void): void {
      store
        .get({ manifest, shard, chunk })
        .then((bytes) => (bytes === undefined ? done(new Error(`no piece ${chunk}`)) : done(null, bytes)), done);
    }

    close(done: (error: Error | null) => void): void {
      done(null);
    }

    destroy(done: (error: Error | null) => void): void {
      done(null);
    }
  };
}
