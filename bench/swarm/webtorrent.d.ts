/** The part of WebTorrent 2.8.5 and of its tracker that the benchmark uses; neither brings types. */
declare module 'webtorrent/dist/webtorrent.min.js' {
  export interface TorrentStore {
    readonly chunkLength: number;
    put(index: number, bytes: Uint8Array<ArrayBuffer>, done: (error: Error | null) => void): void;
    get(index: number, done: (error: Error | null, bytes?: Uint8Array<ArrayBuffer>) => void): void;
    close(done: (error: Error | null) => void): void;
    destroy(done: (error: Error | null) => void): void;
  }

  export interface Torrent {
    readonly done: boolean;
    readonly store: Pick<TorrentStore, 'get'>;
    once(event: 'ready' | 'done' | 'trackerAnnounce', listener: () => void): this;
    on(event: 'error', listener: (error: Error | string) => void): this;
  }

  export interface TorrentOptions {
    readonly store?: new () => TorrentStore;
    readonly skipVerify?: boolean;
  }

  export default class WebTorrent {
    constructor(options: object);
    add(torrent: Uint8Array, options: TorrentOptions): Torrent;
    on(event: 'error', listener: (error: Error | string) => void): this;
  }
}

declare module 'bittorrent-tracker/server' {
  export default class Server {
    readonly ws: { address(): { readonly port: number } };
    constructor(options: { readonly udp: boolean; readonly http: boolean; readonly ws: boolean });
    once(event: 'listening', listener: () => void): this;
    on(event: 'error' | 'warning', listener: (error: Error) => void): this;
    listen(port: number, host: string): void;
    close(done: () => void): void;
  }
}
