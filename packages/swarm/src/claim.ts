/** Somebody who waits for a whole shard, and what could not be stored of it meanwhile. */
import { chunkRange, type ShardEntry } from '@unfed/protocol';
import type { ChunkMap } from './chunk-map.ts';
import { OutOfMemoryError } from './errors.ts';

export class Claim {
  readonly entry: ShardEntry;
  /** Chunks `[first, last)` of the model. */
  readonly first: number;
  readonly last: number;
  /** Chunks that the store had no room for, by their number in the model: kept until the claim is met. */
  readonly spare = new Map<number, Uint8Array<ArrayBuffer>>();
  readonly settled: Promise<void>;
  readonly #onProgress: (bytes: number) => void;
  readonly #resolve: () => void;
  readonly #reject: (error: Error) => void;
  #reportedBytes = 0;

  constructor(
    { entry, first, last }: { entry: ShardEntry; first: number; last: number },
    onProgress: (bytes: number) => void,
  ) {
    this.entry = entry;
    this.first = first;
    this.last = last;
    this.#onProgress = onProgress;
    let resolve: () => void = () => undefined;
    let reject: (error: Error) => void = () => undefined;
    this.settled = new Promise((onResolve, onReject) => {
      resolve = onResolve;
      reject = onReject;
    });
    this.settled.catch(() => undefined);
    this.#resolve = resolve;
    this.#reject = reject;
  }

  has(chunk: number): boolean {
    return chunk >= this.first && chunk < this.last;
  }

  /** Tells what is here by now, and is met when that is all. What is found damaged later is not told twice. */
  look(chunks: ChunkMap, isStored: (chunk: number) => boolean): void {
    const doneBytes = chunks.bytesWhere(this, (chunk) => isStored(chunk) || this.spare.has(chunk));
    if (doneBytes > this.#reportedBytes) {
      this.#onProgress(doneBytes - this.#reportedBytes);
      this.#reportedBytes = doneBytes;
    }
    if (doneBytes === this.entry.bytes) this.#resolve();
  }

  /**
   * The shard, of what is spare and of what is read.
   * @param read gives a verified chunk, or undefined @returns also the chunks that are missing, counted within the shard
   * @throws OutOfMemoryError, and the signal's reason
   */
  async assemble(
    read: (chunk: number) => Promise<Uint8Array | undefined>,
    signal: AbortSignal | undefined,
  ): Promise<{ shard: Uint8Array; missing: number[] }> {
    const shard = allocate(this.entry.id, this.entry.bytes);
    const missing: number[] = [];
    for (let chunk = this.first; chunk < this.last; chunk++) {
      signal?.throwIfAborted();
      const place = chunk - this.first;
      const bytes = this.spare.get(chunk) ?? (await read(chunk));
      if (bytes === undefined) missing.push(place);
      else shard.set(bytes, chunkRange(this.entry, place).start);
    }
    return { shard, missing };
  }

  fail(error: Error): void {
    this.#reject(error);
  }
}

function allocate(what: string, bytes: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(bytes);
  } catch (cause) {
    throw new OutOfMemoryError(what, bytes, { cause });
  }
}
