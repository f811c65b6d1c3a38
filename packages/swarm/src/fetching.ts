/** What we asked of one peer: requests under way, and the chunks that their parts fill. */
import { DecodeError } from '@unfed/protocol';
import type { ExchangedModel } from './exchanged-model.ts';
import type { ChunkRequest, RejectReason } from './exchange-frames.ts';
import * as limits from './limits.ts';
import { RequestWindow, type Asked } from './request-window.ts';
import type { SwarmClock } from './swarm-clock.ts';
import type { TokenBucket } from './token-bucket.ts';

export interface FetchingParts {
  readonly clock: SwarmClock;
  readonly request: (request: ChunkRequest) => void;
  readonly cancel: (id: number) => void;
  readonly progressed: (model: ExchangedModel, chunk: number, bytes: number) => void;
  readonly received: (model: ExchangedModel, chunk: number, bytes: Uint8Array<ArrayBuffer>) => void;
  readonly refused: (model: ExchangedModel, chunk: number, reason: RejectReason) => void;
  /** Shared by all links: while it is limited, chunks are asked for in small pieces, each when its turn comes. */
  readonly download: TokenBucket;
}

interface Fetch {
  readonly model: ExchangedModel;
  readonly chunk: number;
  readonly slot: number;
  readonly bytesTotal: number;
  /** Made when the first part comes. */
  buffer: Uint8Array<ArrayBuffer> | undefined;
  askedBytes: number;
  gotBytes: number;
  readonly requests: Map<number, Request>;
  ended: boolean;
}

/** A run of bytes within a chunk: what is still to come of it. */
interface Request {
  offset: number;
  readonly endOffset: number;
  readonly asked: Asked;
  isAnswered: boolean;
}

/** Ids whose parts may still come after a cancel. */
const cancelledKept = 1024;

export class Fetching {
  readonly #parts: FetchingParts;
  readonly #fetches = new Map<string, Fetch>();
  readonly #byRequest = new Map<number, Fetch>();
  readonly #cancelled = new Set<number>();
  readonly #abort = new AbortController();
  readonly #window = new RequestWindow();
  #pumping = false;
  #nextId = 0;

  constructor(parts: FetchingParts) {
    this.#parts = parts;
  }

  start(model: ExchangedModel, chunk: number, slot: number): void {
    const key = keyOf(model, chunk);
    if (this.#fetches.has(key) || this.#abort.signal.aborted) return;
    const fetch: Fetch = {
      model,
      chunk,
      slot,
      bytesTotal: model.chunks.at(chunk).bytes,
      buffer: undefined,
      askedBytes: 0,
      gotBytes: 0,
      requests: new Map(),
      ended: false,
    };
    this.#fetches.set(key, fetch);
    void this.#pump();
  }

  cancel(model: ExchangedModel, chunk: number): void {
    const fetch = this.#fetches.get(keyOf(model, chunk));
    if (fetch === undefined) return;
    this.#end(fetch);
    // Others may have waited for its room, with nothing of their own under way that would wake them.
    void this.#pump();
  }

  /** @throws DecodeError for a part that nobody asked for, or that comes out of order */
  take(id: number, offset: number, bytes: Uint8Array): void {
    const fetch = this.#byRequest.get(id);
    const request = fetch?.requests.get(id);
    if (fetch === undefined || request === undefined) {
      if (this.#cancelled.has(id)) return;
      throw new DecodeError('part frame', 'a part that was asked for', `one of request ${id}`);
    }
    if (offset !== request.offset || offset + bytes.byteLength > request.endOffset) {
      const expected = `bytes ${request.offset} to ${request.endOffset} of the chunk`;
      throw new DecodeError('part frame', expected, `${bytes.byteLength} bytes from ${offset} on`);
    }
    fetch.buffer ??= new Uint8Array(fetch.bytesTotal);
    fetch.buffer.set(bytes, offset);
    request.offset += bytes.byteLength;
    const nowMs = this.#parts.clock.now();
    if (!request.isAnswered) this.#window.answered(request.asked, nowMs);
    request.isAnswered = true;
    this.#window.came(bytes.byteLength);
    fetch.gotBytes += bytes.byteLength;
    this.#parts.progressed(fetch.model, fetch.chunk, bytes.byteLength);
    if (request.offset === request.endOffset) {
      this.#window.done(request.asked, nowMs);
      fetch.requests.delete(id);
      this.#byRequest.delete(id);
    }
    if (fetch.gotBytes < fetch.bytesTotal) {
      void this.#pump();
      return;
    }
    const { buffer } = fetch;
    this.#end(fetch);
    this.#parts.received(fetch.model, fetch.chunk, buffer);
    void this.#pump();
  }

  reject(id: number, reason: RejectReason): void {
    const fetch = this.#byRequest.get(id);
    const request = fetch?.requests.get(id);
    if (fetch === undefined || request === undefined) return;
    this.#window.freed(request.endOffset - request.offset);
    fetch.requests.delete(id);
    this.#byRequest.delete(id);
    this.#end(fetch);
    this.#parts.refused(fetch.model, fetch.chunk, reason);
    void this.#pump();
  }

  stop(): void {
    this.#abort.abort(new Error('the link ended'));
    this.#fetches.clear();
    this.#byRequest.clear();
  }

  /** Asks in small pieces, each when there is room for it: what was asked for cannot be taken back from the line. */
  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      for (let next = this.#next(); next !== undefined; next = this.#next()) {
        const bytes = this.#bytesOf(next);
        await this.#parts.download.take(bytes, this.#abort.signal);
        if (!next.ended) this.#request(next, bytes);
      }
    } catch {
      // The link ended, and with it what was asked for.
    } finally {
      this.#pumping = false;
    }
  }

  /** The one that is asked for next, when there is room for a piece of it. */
  #next(): Fetch | undefined {
    if (this.#byRequest.size >= limits.requestsUnderWayMax) return undefined;
    const share = this.#parts.download.isLimited ? limits.windowLimited : limits.window;
    for (const fetch of this.#fetches.values()) {
      if (fetch.askedBytes === fetch.bytesTotal) continue;
      return this.#window.hasRoom(this.#bytesOf(fetch), share) ? fetch : undefined;
    }
    return undefined;
  }

  #bytesOf({ bytesTotal, askedBytes }: Fetch): number {
    const { isLimited } = this.#parts.download;
    return Math.min(bytesTotal - askedBytes, isLimited ? limits.limitedRequestBytes : limits.requestBytes);
  }

  #request(fetch: Fetch, bytes: number): void {
    const id = this.#nextId;
    this.#nextId = (this.#nextId + 1) >>> 0;
    const offset = fetch.askedBytes;
    fetch.askedBytes += bytes;
    const asked = this.#window.asked(bytes, this.#parts.clock.now());
    fetch.requests.set(id, { offset, endOffset: offset + bytes, asked, isAnswered: false });
    this.#byRequest.set(id, fetch);
    const { shard, chunk } = fetch.model.chunks.at(fetch.chunk);
    this.#parts.request({ id, slot: fetch.slot, shard, chunk, offset, bytes });
  }

  #end(fetch: Fetch): void {
    fetch.ended = true;
    this.#fetches.delete(keyOf(fetch.model, fetch.chunk));
    for (const [id, { offset, endOffset }] of fetch.requests) {
      this.#window.freed(endOffset - offset);
      this.#byRequest.delete(id);
      this.#cancelled.add(id);
      this.#parts.cancel(id);
    }
    fetch.requests.clear();
    for (const id of this.#cancelled) {
      if (this.#cancelled.size <= cancelledKept) break;
      this.#cancelled.delete(id);
    }
  }
}

function keyOf(model: ExchangedModel, chunk: number): string {
  return `${model.manifest} ${chunk}`;
}
