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

interface OriginRequest {
  readonly abort: AbortController;
  /** Failures when it began: of requests that fail together, one counts. */
  readonly failuresBefore: number;
}

export class Origin {
  readonly #files: RawFiles;
  readonly #manifest: ManifestHash;
  readonly #clock: SwarmClock;
  readonly #onBytes: (index: number, bytes: number) => void;
  readonly #requests = new Map<number, OriginRequest>();
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
    return this.#requests.size > 0 && this.#rate.bytesPerSecond(this.#clock.now()) > 0;
  }

  /** Why it is not asked any more. */
  get givenUp(): Error | undefined {
    return this.#failures >= limits.triesMax ? this.#error : undefined;
  }

  /** Why it last gave nothing. */
  get error(): Error | undefined {
    return this.#error;
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
    const request = { abort: new AbortController(), failuresBefore: this.#failures };
    this.#requests.set(chunk.index, request);
    const { signal } = request.abort;
    try {
      const bytes = await this.#read(chunk, signal);
      this.#failures = 0;
      return bytes;
    } catch (error) {
      if (!signal.aborted) this.#failed(request, error);
      return undefined;
    } finally {
      this.#requests.delete(chunk.index);
    }
  }

  cancel(index: number): void {
    this.#requests.get(index)?.abort.abort(new Error('the chunk is not needed any more'));
  }

  /** It was silent for too long: the request ends, and is counted as a failure. */
  passOver(index: number): void {
    const request = this.#requests.get(index);
    if (request === undefined) return;
    const detail = 'expected bytes, came none for too long; the seed is too slow or gone';
    this.#failed(request, new SourceError({ failure: 'stalled', path: this.#manifest, transient: true }, detail));
    this.cancel(index);
  }

  stop(): void {
    for (const index of this.#requests.keys()) this.cancel(index);
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

  #failed({ failuresBefore }: OriginRequest, thrown: unknown): void {
    this.#error = asError(thrown);
    if (!mayHelp(thrown)) this.#failures = limits.triesMax;
    else if (this.#failures === failuresBefore) this.#failures++;
    // Wrong bytes come from a cache as fast as right ones: they too are asked for more slowly each time.
    const isWrong = thrown instanceof HashMismatchError;
    const restMs = limits.backoffMs * 2 ** (Math.max(this.#failures, 1) - (isWrong ? 0 : 1));
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
