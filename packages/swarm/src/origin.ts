/** The seed of a model as a source of single chunks: what it says, how often it failed, and when to ask it again. */
import {
  asError,
  chunkRange,
  HashMismatchError,
  shardFileName,
  type ManifestHash,
  type ShardEntry,
} from '@unfed/protocol';
import { SourceError } from './errors.ts';
import * as limits from './limits.ts';
import { RateMeter } from './rate-meter.ts';
import { mayHelp } from './retry.ts';
import { checkSha256 } from './sha256.ts';
import type { SwarmClock } from './swarm-clock.ts';
import { collect, type RawFiles } from './verified-source.ts';

export interface OriginChunk {
  /** Its number in the model, by which it can be cancelled, and in its shard. */
  readonly index: number;
  readonly entry: ShardEntry;
  readonly chunk: number;
}

export class Origin {
  readonly #files: RawFiles;
  readonly #manifest: ManifestHash;
  readonly #clock: SwarmClock;
  readonly #onBytes: (index: number, bytes: number) => void;
  readonly #aborts = new Map<number, AbortController>();
  readonly #rate = new RateMeter();
  #bytes = 0;
  #failures = 0;
  #restsUntilMs = 0;
  #error: Error | undefined;

  constructor(
    { seed, hash, clock }: { seed: RawFiles; hash: ManifestHash; clock: SwarmClock },
    onBytes: (index: number, bytes: number) => void,
  ) {
    this.#files = seed;
    this.#manifest = hash;
    this.#clock = clock;
    this.#onBytes = onBytes;
  }

  /** What it gave. */
  get bytes(): number {
    return this.#bytes;
  }

  get isGiving(): boolean {
    return this.#aborts.size > 0 && this.#rate.bytesPerSecond(this.#clock.now()) > 0;
  }

  /** Why it is not asked any more. */
  get givenUp(): Error | undefined {
    return this.#failures >= limits.triesMax ? this.#error : undefined;
  }

  get mayBeAsked(): boolean {
    return this.givenUp === undefined && this.#clock.now() >= this.#restsUntilMs;
  }

  /** Somebody asks anew: it gets its tries again. */
  forgive(): void {
    this.#failures = 0;
    this.#restsUntilMs = 0;
  }

  /** @returns the verified chunk; undefined when it was cancelled or did not come, which counts as a failure */
  async fetch(chunk: OriginChunk): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const abort = new AbortController();
    this.#aborts.set(chunk.index, abort);
    try {
      const bytes = await this.#read(chunk, abort.signal);
      this.#failures = 0;
      return bytes;
    } catch (error) {
      if (!abort.signal.aborted) this.#failed(error);
      return undefined;
    } finally {
      this.#aborts.delete(chunk.index);
    }
  }

  cancel(index: number): void {
    this.#aborts.get(index)?.abort(new Error('the chunk is not needed any more'));
  }

  stop(): void {
    for (const index of this.#aborts.keys()) this.cancel(index);
  }

  async #read({ index, entry, chunk }: OriginChunk, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const path = `${this.#manifest}/${shardFileName(entry.id)}`;
    const { start, end: until } = chunkRange(entry, chunk);
    const again = this.#failures > 0;
    const parts = this.#files.read({ path, start, until, end: entry.bytes, again, signal });
    const bytes = await collect(this.#counted(parts, index), { path, bytesMax: until - start });
    if (bytes.byteLength < until - start) {
      const detail = `expected ${until - start} bytes from ${start} on, came ${bytes.byteLength}; it is cut off`;
      throw new SourceError({ failure: 'too-short', path, transient: true }, detail);
    }
    await checkSha256(`chunk ${chunk} of ${path}`, bytes, entry.chunks[chunk] ?? new Uint8Array());
    return bytes;
  }

  #failed(thrown: unknown): void {
    this.#error = asError(thrown);
    this.#failures = mayHelp(thrown) ? this.#failures + 1 : limits.triesMax;
    // Wrong bytes come from a cache as fast as right ones: they too are asked for more slowly each time.
    const isWrong = thrown instanceof HashMismatchError;
    const restMs = limits.backoffMs * 2 ** (this.#failures - (isWrong ? 0 : 1));
    this.#restsUntilMs = this.#clock.now() + Math.min(restMs, limits.backoffMsMax);
  }

  async *#counted(parts: AsyncIterable<Uint8Array>, index: number): AsyncGenerator<Uint8Array, void, void> {
    for await (const part of parts) {
      this.#bytes += part.byteLength;
      this.#rate.add(part.byteLength, this.#clock.now());
      this.#onBytes(index, part.byteLength);
      yield part;
    }
  }
}
