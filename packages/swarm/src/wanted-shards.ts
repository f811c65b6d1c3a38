/** Which shards of a model are wanted here, and who waits for one of them. */
import { asError, type ShardId } from '@unfed/protocol';
import type { ChunkMap } from './chunk-map.ts';
import type { ChunkSources } from './chunk-sources.ts';
import { Claim } from './claim.ts';
import type { DownloadParts } from './download-parts.ts';
import type { KeptChunks } from './kept-chunks.ts';
import type { Picker } from './picker.ts';
import type { ShardOptions } from './shard-source.ts';
import { ChunksMissingError } from './store-errors.ts';

/** Times that a shard is put together anew after the store lost some of it. */
const assembliesMax = 4;
/** Whoever waits comes before what is fetched to be kept. */
const [waitedPriority, keptPriority] = [0, 1];

export interface WantedShardsParts extends Pick<DownloadParts, 'hash' | 'store' | 'onChange'> {
  readonly chunks: ChunkMap;
  readonly picker: Picker;
  readonly sources: ChunkSources;
  readonly kept: KeptChunks;
  readonly stopped: AbortSignal;
}

export class WantedShards {
  readonly #parts: WantedShardsParts;
  /** By their places in the manifest. */
  readonly #wanted = new Set<number>();
  readonly #claims = new Set<Claim>();

  constructor(parts: WantedShardsParts) {
    this.#parts = parts;
  }

  get places(): ReadonlySet<number> {
    return this.#wanted;
  }

  /** Fetches these shards, in any order among them, and keeps them. @throws InvalidValueError */
  want(shards: readonly ShardId[]): void {
    for (const id of shards) this.#want(this.#parts.chunks.place(id), keptPriority);
    this.#parts.sources.begin();
  }

  /** Fetches no more of these, unless somebody waits for them; what is held stays. @throws InvalidValueError */
  unwant(shards: readonly ShardId[]): void {
    const { chunks } = this.#parts;
    for (const place of shards.map((id) => chunks.place(id))) {
      const { first } = chunks.range(place);
      if (![...this.#claims].some((claim) => claim.first === first)) this.#giveUp(place);
    }
    this.#parts.onChange();
  }

  /** @returns the verified shard @throws as ShardSource.shard does */
  async claim(id: ShardId, { signal, onProgress }: ShardOptions): Promise<Uint8Array> {
    const { chunks, kept } = this.#parts;
    const place = chunks.place(id);
    const range = chunks.range(place);
    const { entry } = chunks.at(range.first);
    for (let tries = 1; ; tries++) {
      const claim = new Claim({ entry, ...range }, onProgress ?? (() => undefined));
      await this.#waitFor(claim, place, signal);
      try {
        return await this.#assemble(claim, place, signal);
      } catch (error) {
        if (!(error instanceof ChunksMissingError) || tries === assembliesMax) throw error;
        for (const chunk of error.chunks) kept.lose(range.first + chunk);
      }
    }
  }

  /** More is here: whoever has all that they wait for gets it. */
  settle(): void {
    const { chunks, kept } = this.#parts;
    for (const claim of this.#claims) claim.look(chunks, (chunk) => kept.has(chunk));
  }

  /**
   * The store has no room for a verified chunk: for those who wait for it it is kept in memory; a shard that nobody
   * waits for is given up.
   */
  spare(chunk: number, bytes: Uint8Array<ArrayBuffer>): void {
    const claims = [...this.#claims].filter((claim) => claim.has(chunk));
    for (const claim of claims) claim.spare.set(chunk, bytes);
    if (claims.length > 0) return;
    this.#parts.picker.lose(chunk);
    this.#giveUp(this.#parts.chunks.at(chunk).shard);
  }

  /** Those who wait for what neither the seed nor any peer can give learn so. */
  failHopeless(): void {
    for (const claim of [...this.#claims]) {
      const loss = this.#parts.sources.lossOf(claim);
      if (loss !== undefined) claim.fail(loss);
    }
  }

  failAll(reason: Error): void {
    for (const claim of this.#claims) claim.fail(reason);
    this.#claims.clear();
  }

  #want(place: number, priority: number): void {
    if (this.#wanted.has(place)) return;
    this.#wanted.add(place);
    const { first, last } = this.#parts.chunks.range(place);
    for (let chunk = first; chunk < last; chunk++) {
      // Of what is private the picker does not know, until somebody wants it.
      if (this.#parts.kept.has(chunk)) this.#parts.sources.hold(chunk);
      this.#parts.picker.want(chunk, priority);
    }
  }

  #giveUp(place: number): void {
    this.#wanted.delete(place);
    const { first, last } = this.#parts.chunks.range(place);
    for (let chunk = first; chunk < last; chunk++) this.#parts.picker.unwant(chunk);
  }

  async #waitFor(claim: Claim, place: number, signal: AbortSignal | undefined): Promise<void> {
    const { picker, kept, sources, stopped } = this.#parts;
    const onAbort = (): void => claim.fail(asError(signal?.reason));
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#claims.add(claim);
    const wasWanted = this.#wanted.has(place);
    try {
      signal?.throwIfAborted();
      stopped.throwIfAborted();
      this.#want(place, waitedPriority);
      // Chunks that nothing was kept of may have been held for an earlier claim.
      for (let chunk = claim.first; chunk < claim.last; chunk++) {
        if (picker.holds(chunk) && !kept.has(chunk) && !kept.isPutting(chunk)) picker.lose(chunk);
      }
      sources.begin();
      this.settle();
      await claim.settled;
    } catch (error) {
      this.#claims.delete(claim);
      if (!wasWanted && !stopped.aborted) this.unwant([claim.entry.id]);
      throw error;
    } finally {
      this.#claims.delete(claim);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async #assemble(claim: Claim, place: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const { hash, store, kept, picker } = this.#parts;
    const { entry, spare } = claim;
    if (spare.size === 0) return store.assemble(hash, entry, signal === undefined ? {} : { signal });
    const { shard, missing } = await claim.assemble((chunk) => kept.read(chunk), signal);
    // What was kept for this claim alone is not held by anybody now, and not fetched again until somebody asks.
    this.#giveUp(place);
    for (const chunk of spare.keys()) if (!kept.has(chunk)) picker.lose(chunk);
    if (missing.length > 0) throw new ChunksMissingError(hash, entry.id, missing);
    return shard;
  }
}
