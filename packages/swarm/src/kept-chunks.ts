/** What the store holds of one model, and the verified chunks that are on their way into it. */
import type { ChunkAddress } from './store.ts';
import { Bitmap } from './bitmap.ts';
import type { ChunkMap } from './chunk-map.ts';
import type { DownloadParts } from './download-parts.ts';
import * as limits from './limits.ts';
import { putOrMakeRoom } from './put-or-make-room.ts';

type SharedParts = Pick<DownloadParts, 'hash' | 'manifest' | 'store' | 'makeRoom' | 'isPrivate'>;

export interface KeptChunksParts extends SharedParts {
  readonly chunks: ChunkMap;
  readonly stopped: AbortSignal;
  /** The store has it for good, and it may be given. */
  readonly gained: (chunk: number) => void;
  /** The store was found not to have it. */
  readonly lost: (chunk: number) => void;
  /** A verified chunk found no room. */
  readonly onFull: (chunk: number, bytes: Uint8Array<ArrayBuffer>) => void;
}

export class KeptChunks {
  readonly #parts: KeptChunksParts;
  readonly #stored: Bitmap;
  readonly #putting = new Set<number>();
  /** Of those stored, the ones that may be given. */
  #givenCount = 0;
  #isFull = false;

  constructor(parts: KeptChunksParts) {
    this.#parts = parts;
    this.#stored = new Bitmap(parts.chunks.total);
  }

  /** Chunks that may be given. */
  get givenCount(): number {
    return this.#givenCount;
  }

  has(chunk: number): boolean {
    return this.#stored.has(chunk);
  }

  gives(chunk: number): boolean {
    return this.#stored.has(chunk) && !this.#isPrivate(chunk);
  }

  isPutting(chunk: number): boolean {
    return this.#putting.has(chunk);
  }

  /** Not so many are on their way that more would fill the memory. */
  get mayPutMore(): boolean {
    return this.#putting.size < limits.putsMax;
  }

  /** Something found no room. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Reads again what the store holds: another tab, or the making of room, may have changed it. @throws StoreError */
  async reload(): Promise<void> {
    const { store, hash, chunks } = this.#parts;
    const now = new Bitmap(chunks.total);
    for (const [id, places] of await store.held(hash)) {
      const shard = chunks.shards.findIndex((entry) => entry.id === id);
      for (const place of places) {
        const chunk = chunks.index(shard, place);
        if (chunk !== undefined) now.add(chunk);
      }
    }
    for (let chunk = 0; chunk < chunks.total; chunk++) {
      if (now.has(chunk)) this.#keep(chunk);
      else if (this.#stored.has(chunk)) this.lose(chunk);
    }
  }

  /** Stores a verified chunk; `gained` or `onFull` says how it went. */
  async put(chunk: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    this.#putting.add(chunk);
    const result = await putOrMakeRoom(this.#parts, this.#address(chunk), bytes);
    this.#putting.delete(chunk);
    if (this.#parts.stopped.aborted) return;
    if (result === 'stored') return this.#keep(chunk);
    this.#isFull = true;
    this.#parts.onFull(chunk, bytes);
  }

  /** @returns the chunk, verified anew where it is from an earlier session; undefined, and lost, when it is not there */
  async read(chunk: number): Promise<Uint8Array | undefined> {
    const { sha256 } = this.#parts.chunks.at(chunk);
    const bytes = await this.#parts.store.get(this.#address(chunk), sha256);
    if (bytes === undefined) this.lose(chunk);
    return bytes;
  }

  lose(chunk: number): void {
    if (this.#stored.delete(chunk) && !this.#isPrivate(chunk)) this.#givenCount--;
    this.#parts.lost(chunk);
  }

  #keep(chunk: number): void {
    if (!this.#stored.add(chunk) || this.#isPrivate(chunk)) return;
    this.#givenCount++;
    this.#parts.gained(chunk);
  }

  #isPrivate(chunk: number): boolean {
    return this.#parts.isPrivate(this.#parts.chunks.at(chunk).entry.id);
  }

  #address(index: number): ChunkAddress {
    const { entry, chunk } = this.#parts.chunks.at(index);
    return { manifest: this.#parts.hash, shard: entry.id, chunk };
  }
}
