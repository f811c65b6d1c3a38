/** WebTorrent as its documents say, without DHT, LSD, PEX and foreign servers; its pieces lie in the same store as ours. */
import { limits, type ManifestHash } from '@unfed/protocol';
import type { ChunkStore } from '@unfed/swarm';
import WebTorrent, { type Torrent, type TorrentStore } from 'webtorrent/dist/webtorrent.min.js';
import type { Place, Rival } from './rival.ts';
import { shard } from './work.ts';

export class WebTorrentRival implements Rival {
  #client: WebTorrent | undefined;

  async give(place: Place): Promise<void> {
    await this.prepare();
    const torrent = this.#add(place, true);
    await Promise.all([happened(torrent, 'ready'), happened(torrent, 'trackerAnnounce')]);
  }

  async prepare(): Promise<void> {
    this.#client = new WebTorrent({ dht: false, lsd: false, utPex: false, tracker: { rtcConfig: { iceServers: [] } } });
  }

  fetch(place: Place): Promise<void> {
    return happened(this.#add(place, false), 'done');
  }

  /** @param holdsAll a seed's store is trusted, as its owner filled it */
  #add({ setup, hash, store }: Place, holdsAll: boolean): Torrent {
    if (this.#client === undefined) throw new Error('prepare() first');
    const options = { store: storeOver(store, hash), skipVerify: holdsAll };
    return this.#client.add(Uint8Array.from(setup.torrent), options);
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

    get(chunk: number, done: (error: Error | null, bytes?: Uint8Array) => void): void {
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
