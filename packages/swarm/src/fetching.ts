/** What we asked of one peer: requests under way, and the chunks that their parts fill. */
import { DecodeError } from '@unfed/protocol';
import type { ExchangedModel } from './exchanged-model.ts';
import type { ChunkRequest, RejectReason } from './exchange-frames.ts';
import * as limits from './limits.ts';
import type { TokenBucket } from './token-bucket.ts';

export interface FetchingParts {
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
  readonly requests: Map<number, { offset: number; endOffset: number }>;
  pumping: boolean;
  ended: boolean;
}

/** Requests of one chunk at the same time, while downloads are limited. */
const piecesUnderWay = 2;
/** Ids whose parts may still come after a cancel. */
const cancelledKept = 1024;

export class Fetching {
  readonly #parts: FetchingParts;
  readonly #fetches = new Map<string, Fetch>();
  readonly #byRequest = new Map<number, Fetch>();
  readonly #cancelled = new Set<number>();
  readonly #abort = new AbortController();
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
      pumping: false,
      ended: false,
    };
    this.#fetches.set(key, fetch);
    void this.#pump(fetch);
  }

  cancel(model: ExchangedModel, chunk: number): void {
    const fetch = this.#fetches.get(keyOf(model, chunk));
    if (fetch !== undefined) this.#end(fetch);
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
    fetch.gotBytes += bytes.byteLength;
    this.#parts.progressed(fetch.model, fetch.chunk, bytes.byteLength);
    if (request.offset === request.endOffset) {
      fetch.requests.delete(id);
      this.#byRequest.delete(id);
    }
    if (fetch.gotBytes < fetch.bytesTotal) {
      void this.#pump(fetch);
      return;
    }
    const { buffer } = fetch;
    this.#end(fetch);
    this.#parts.received(fetch.model, fetch.chunk, buffer);
  }

  reject(id: number, reason: RejectReason): void {
    const fetch = this.#byRequest.get(id);
    if (fetch === undefined) return;
    fetch.requests.delete(id);
    this.#byRequest.delete(id);
    this.#end(fetch);
    this.#parts.refused(fetch.model, fetch.chunk, reason);
  }

  stop(): void {
    this.#abort.abort(new Error('the link ended'));
    this.#fetches.clear();
    this.#byRequest.clear();
  }

  async #pump(fetch: Fetch): Promise<void> {
    if (fetch.pumping) return;
    fetch.pumping = true;
    try {
      while (!fetch.ended && fetch.askedBytes < fetch.bytesTotal) {
        const { isLimited } = this.#parts.download;
        if (isLimited && fetch.requests.size >= piecesUnderWay) return;
        const left = fetch.bytesTotal - fetch.askedBytes;
        const bytes = isLimited ? Math.min(left, limits.limitedRequestBytes) : left;
        await this.#parts.download.take(bytes, this.#abort.signal);
        if (!fetch.ended) this.#request(fetch, bytes);
      }
    } catch {
      // The link ended, and with it what was asked for.
    } finally {
      fetch.pumping = false;
    }
  }

  #request(fetch: Fetch, bytes: number): void {
    const id = this.#nextId;
    this.#nextId = (this.#nextId + 1) >>> 0;
    const offset = fetch.askedBytes;
    fetch.askedBytes += bytes;
    fetch.requests.set(id, { offset, endOffset: offset + bytes });
    this.#byRequest.set(id, fetch);
    const { shard, chunk } = fetch.model.chunks.at(fetch.chunk);
    this.#parts.request({ id, slot: fetch.slot, shard, chunk, offset, bytes });
  }

  #end(fetch: Fetch): void {
    fetch.ended = true;
    this.#fetches.delete(keyOf(fetch.model, fetch.chunk));
    for (const id of fetch.requests.keys()) {
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
