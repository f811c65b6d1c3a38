/**
 * The floor: bare data channels that carry the same chunks, hashed and stored likewise, with no protocol but a number that
 * asks and messages of one size that answer in order.
 */
import { limits, type ShardEntry } from '@unfed/protocol';
import type { ChunkStore } from '@unfed/swarm';
import type { Place, Rival } from './rival.ts';
import { shard } from './work.ts';

/** Of 16 to 256 KiB the fastest between tabs of one machine. */
const messageBytes = 64 << 10;
const bufferedBytesMax = 2 << 20;
/** Chunks asked for in advance on every channel. */
const window = 4;
const putsMax = 16;

declare global {
  interface Window {
    /** Carries an offer to a seed's tab and brings its answer. */
    signalSeed(seed: number, offer: string): Promise<string>;
  }
}

export class RawRival implements Rival {
  #seedStore: Place | undefined;
  readonly #connections: RTCPeerConnection[] = [];

  async give(place: Place): Promise<void> {
    this.#seedStore = place;
  }

  async prepare(): Promise<void> {
    // There is nothing to have ready.
  }

  async fetch({ setup, manifest, hash, store }: Place): Promise<void> {
    const entry = manifest.shards.find(({ id }) => id === shard);
    if (entry === undefined) throw new Error(`expected ${shard} in the manifest, came none`);
    const put = (chunk: number, bytes: Uint8Array<ArrayBuffer>) => store.put({ manifest: hash, shard, chunk }, bytes);
    const queue = new ChunkQueue(entry, put);
    const seeds = Array.from({ length: setup.seeds }, (_, seed) => seed);
    await Promise.all(seeds.map(async (seed) => fetchFrom(await this.#connect(seed), queue)));
    await queue.allStored();
  }

  /** A seed's side of the introduction. */
  async answer(offer: string): Promise<string> {
    const place = this.#seedStore;
    if (place === undefined) throw new Error('give() first');
    const connection = this.#newConnection();
    connection.addEventListener('datachannel', ({ channel }) => serve(channel, place));
    await connection.setRemoteDescription({ type: 'offer', sdp: offer });
    await connection.setLocalDescription();
    return gathered(connection);
  }

  async #connect(seed: number): Promise<RTCDataChannel> {
    const connection = this.#newConnection();
    const channel = connection.createDataChannel('chunks');
    channel.binaryType = 'arraybuffer';
    const opened = new Promise((resolve) => channel.addEventListener('open', resolve, { once: true }));
    await connection.setLocalDescription();
    const sdp = await globalThis.window.signalSeed(seed, await gathered(connection));
    await connection.setRemoteDescription({ type: 'answer', sdp });
    await opened;
    return channel;
  }

  #newConnection(): RTCPeerConnection {
    const connection = new RTCPeerConnection();
    this.#connections.push(connection);
    return connection;
  }
}

async function gathered(connection: RTCPeerConnection): Promise<string> {
  while (connection.iceGatheringState !== 'complete') {
    await new Promise((resolve) => connection.addEventListener('icegatheringstatechange', resolve, { once: true }));
  }
  return connection.localDescription?.sdp ?? '';
}

/** Hands out chunks in order, and verifies and stores what comes. */
class ChunkQueue {
  readonly #entry: ShardEntry;
  readonly #put: (chunk: number, bytes: Uint8Array<ArrayBuffer>) => ReturnType<ChunkStore['put']>;
  readonly #storing = new Set<Promise<void>>();
  #next = 0;
  #kept = 0;

  constructor(
    entry: ShardEntry,
    put: (chunk: number, bytes: Uint8Array<ArrayBuffer>) => ReturnType<ChunkStore['put']>,
  ) {
    this.#entry = entry;
    this.#put = put;
  }

  take(): number | undefined {
    return this.#next < this.#entry.chunks.length ? this.#next++ : undefined;
  }

  /** @returns when there is room for more */
  async keep(chunk: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const storing = this.#verifyAndStore(chunk, bytes).finally(() => this.#storing.delete(storing));
    this.#storing.add(storing);
    if (this.#storing.size >= putsMax) await Promise.race(this.#storing);
  }

  async allStored(): Promise<void> {
    await Promise.all(this.#storing);
    if (this.#kept !== this.#entry.chunks.length) throw new Error(`${this.#kept} of ${this.#entry.chunks.length} came`);
  }

  async #verifyAndStore(chunk: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const came = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    const expected = this.#entry.chunks[chunk];
    if (expected === undefined || came.some((byte, i) => byte !== expected[i]))
      throw new Error(`chunk ${chunk} is bad`);
    if ((await this.#put(chunk, bytes)) !== 'stored') throw new Error(`chunk ${chunk} did not fit`);
    this.#kept++;
  }
}

/** Resolves when the queue is empty and all that this channel was asked for has come. */
function fetchFrom(channel: RTCDataChannel, queue: ChunkQueue): Promise<void> {
  return new Promise((resolve, reject) => {
    const asked: number[] = [];
    let bytes = new Uint8Array(limits.chunkBytes);
    let filled = 0;
    const ask = (): void => {
      const chunk = queue.take();
      if (chunk !== undefined) {
        asked.push(chunk);
        channel.send(Uint32Array.of(chunk));
      } else if (asked.length === 0) resolve();
    };
    channel.addEventListener('close', () => reject(new Error('a seed closed its channel')));
    channel.addEventListener('message', ({ data }: MessageEvent<ArrayBuffer>) => {
      bytes.set(new Uint8Array(data), filled);
      filled += data.byteLength;
      if (filled < limits.chunkBytes) return;
      const chunk = asked.shift();
      if (chunk === undefined) return reject(new Error('a chunk came that was not asked for'));
      queue.keep(chunk, bytes).then(ask, reject);
      bytes = new Uint8Array(limits.chunkBytes);
      filled = 0;
    });
    for (let i = 0; i < window; i++) ask();
  });
}

/** Sends what is asked for, one chunk after the other, the next one read meanwhile. */
function serve(channel: RTCDataChannel, { hash, store }: Place): void {
  let sending = Promise.resolve();
  channel.binaryType = 'arraybuffer';
  channel.bufferedAmountLowThreshold = bufferedBytesMax / 2;
  channel.addEventListener('message', ({ data }: MessageEvent<ArrayBuffer>) => {
    const [chunk = 0] = new Uint32Array(data);
    const reading = store.get({ manifest: hash, shard, chunk });
    sending = sending.then(async () => {
      const bytes = await reading;
      if (bytes === undefined) throw new Error(`expected chunk ${chunk} in the seed's store, came none`);
      for (let at = 0; at < bytes.byteLength; at += messageBytes) {
        if (channel.bufferedAmount > bufferedBytesMax) {
          await new Promise((resolve) => channel.addEventListener('bufferedamountlow', resolve, { once: true }));
        }
        channel.send(bytes.subarray(at, at + messageBytes));
      }
    });
  });
}
