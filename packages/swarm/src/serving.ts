/** What one peer asked of us: a bounded line of requests, served one at a time, part by part, as fast as the link takes. */
import type { ChunkRequest, RejectReason, ShardChunk } from './exchange-frames.ts';
import * as limits from './limits.ts';
import type { RateMeter } from './rate-meter.ts';
import type { SwarmClock } from './swarm-clock.ts';
import type { TokenBucket } from './token-bucket.ts';

/** Where a request leads: what to read, and how many bytes that has. */
export interface Served {
  /** Names the chunk among all models, so that a chunk that is asked for in pieces is read once. */
  readonly key: string;
  readonly bytes: number;
  readonly read: () => Promise<Uint8Array | undefined>;
}

export interface ServingParts {
  readonly clock: SwarmClock;
  /** Resolves when the link has room for more. */
  readonly sendPart: (id: number, offset: number, bytes: Uint8Array) => Promise<void>;
  readonly reject: (id: number, reason: RejectReason) => void;
  /** @returns a reason where the request cannot be served */
  readonly find: (slot: number, at: ShardChunk) => Served | RejectReason;
  /** Shared by all links. */
  readonly upload: TokenBucket;
  readonly taken: RateMeter;
  readonly onSent: (bytes: number) => void;
  /** A peer that was choked meanwhile has all that it was being sent: its place is free. */
  readonly onLeft: () => void;
  /** The peer was refused too often in a row. */
  readonly onFlood: () => void;
}

interface Waiting {
  readonly request: ChunkRequest;
  readonly served: Served;
}

export class Serving {
  readonly #parts: ServingParts;
  readonly #waiting: Waiting[] = [];
  readonly #abort = new AbortController();
  #isOpenToPeer = false;
  #isServing = false;
  /** The one that is being sent, and whether it was cancelled meanwhile. */
  #current: { readonly id: number; readonly key: string; cancelled: boolean } | undefined;
  /** The chunk of which a choked peer gets the rest. */
  #finishing: string | undefined;
  #refusals = 0;
  /** The chunk of the current request or the last one, and of the one that waits next: the disk works while the link does. */
  #reading: { readonly key: string; readonly chunk: Promise<Uint8Array | RejectReason> } | undefined;
  #readingNext: { readonly key: string; readonly chunk: Promise<Uint8Array | RejectReason> } | undefined;

  constructor(parts: ServingParts) {
    this.#parts = parts;
  }

  get isOpenToPeer(): boolean {
    return this.#isOpenToPeer;
  }

  /** A chunk is being sent. */
  get isSending(): boolean {
    return this.#isServing;
  }

  add(request: ChunkRequest): void {
    const served = this.#parts.find(request.slot, request);
    if (typeof served === 'string') return this.#refuse(request.id, served);
    if (request.offset + request.bytes > served.bytes) return this.#refuse(request.id, 'outside');
    if (!this.#isOpenToPeer && served.key !== this.#finishing) return this.#refuse(request.id, 'choked');
    if (this.#waiting.length >= limits.requestsWaitingMax) return this.#refuse(request.id, 'too-many');
    this.#waiting.push({ request, served });
    void this.#serve();
  }

  cancel(id: number): void {
    const place = this.#waiting.findIndex(({ request }) => request.id === id);
    if (place >= 0) this.#waiting.splice(place, 1);
    else if (this.#current?.id === id) this.#current.cancelled = true;
  }

  open(): void {
    this.#isOpenToPeer = true;
    this.#finishing = undefined;
    this.#refusals = 0;
  }

  /** What waits is rejected; the chunk that is being sent is finished, because most of it may be there. */
  choke(): void {
    this.#isOpenToPeer = false;
    this.#finishing = this.#current?.key;
    for (const waiting of this.#waiting.splice(0)) {
      if (waiting.served.key === this.#finishing) this.#waiting.push(waiting);
      else this.#parts.reject(waiting.request.id, 'choked');
    }
  }

  stop(): void {
    this.#isOpenToPeer = false;
    this.#waiting.length = 0;
    this.#abort.abort(new Error('the link ended'));
  }

  #refuse(id: number, reason: RejectReason): void {
    if (this.#abort.signal.aborted) return;
    this.#refusals++;
    if (this.#refusals > limits.refusalsMax) this.#parts.onFlood();
    else this.#parts.reject(id, reason);
  }

  async #serve(): Promise<void> {
    if (this.#isServing) return;
    this.#isServing = true;
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) await this.#send(next);
    } catch {
      // The link ended: whoever listens to its end hears of that.
    } finally {
      this.#isServing = false;
      this.#current = undefined;
      if (!this.#isOpenToPeer && !this.#abort.signal.aborted) this.#parts.onLeft();
      if (this.#waiting.length === 0) this.#reading = this.#readingNext = undefined;
    }
  }

  async #send({ request, served }: Waiting): Promise<void> {
    const { id, offset, bytes } = request;
    const current = { id, key: served.key, cancelled: false };
    this.#current = current;
    const chunk = await this.#read(served);
    if (typeof chunk === 'string') {
      this.#reading = undefined;
      return this.#refuse(id, chunk);
    }
    this.#readAhead();
    const end = offset + bytes;
    for (let at = offset; at < end && !current.cancelled; at += limits.partBytesMax) {
      const part = chunk.subarray(at, Math.min(at + limits.partBytesMax, end));
      await this.#parts.upload.take(part.byteLength, this.#abort.signal);
      await this.#parts.sendPart(id, at, part);
      this.#parts.taken.add(part.byteLength, this.#parts.clock.now());
      this.#parts.onSent(part.byteLength);
    }
    this.#refusals = 0;
    if (end === served.bytes && this.#finishing === served.key) this.#finishing = undefined;
  }

  #read(served: Served): Promise<Uint8Array | RejectReason> {
    const { key } = served;
    if (this.#reading?.key !== key) {
      this.#reading = this.#readingNext?.key === key ? this.#readingNext : { key, chunk: readChunk(served) };
      this.#readingNext = undefined;
    }
    return this.#reading.chunk;
  }

  #readAhead(): void {
    const next = this.#waiting[0]?.served;
    if (next === undefined || next.key === this.#reading?.key || next.key === this.#readingNext?.key) return;
    this.#readingNext = { key: next.key, chunk: readChunk(next) };
  }
}

/** Never rejects. */
async function readChunk({ bytes, read }: Served): Promise<Uint8Array | RejectReason> {
  try {
    const chunk = await read();
    return chunk?.byteLength === bytes ? chunk : 'not-held';
  } catch {
    return 'unreadable';
  }
}
