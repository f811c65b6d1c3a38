/** Chunks of a whole manifest under one count: shard after shard, as the manifest lists them. */
import { chunkRange, InvalidValueError, type Manifest, type ShardEntry, type ShardId } from '@unfed/protocol';

export class ChunkMap {
  readonly shards: readonly ShardEntry[];
  /** Chunks of all shards. */
  readonly total: number;
  readonly #starts: readonly number[];
  readonly #places: ReadonlyMap<ShardId, number>;

  constructor({ shards }: Pick<Manifest, 'shards'>) {
    this.shards = shards;
    let total = 0;
    this.#starts = shards.map(({ chunks }) => (total += chunks.length) - chunks.length);
    this.total = total;
    this.#places = new Map(shards.map(({ id }, place) => [id, place]));
  }

  /** The shard's place in the manifest. @throws InvalidValueError for a shard of another model */
  place(id: ShardId): number {
    const place = this.#places.get(id);
    if (place === undefined) throw new InvalidValueError('shard', 'one of the manifest', id);
    return place;
  }

  /** @returns undefined outside the manifest */
  index(shard: number, chunk: number): number | undefined {
    const start = this.#starts[shard];
    const chunks = this.shards[shard]?.chunks.length ?? 0;
    return start === undefined || chunk < 0 || chunk >= chunks ? undefined : start + chunk;
  }

  /** `[first, one past the last)` of a shard. */
  range(shard: number): { first: number; last: number } {
    const first = this.#starts[shard] ?? this.total;
    return { first, last: first + (this.shards[shard]?.chunks.length ?? 0) };
  }

  /** The bytes of those chunks of `[first, last)` for which something holds. */
  bytesWhere({ first, last }: { first: number; last: number }, holds: (chunk: number) => boolean): number {
    let bytes = 0;
    for (let chunk = first; chunk < last; chunk++) if (holds(chunk)) bytes += this.at(chunk).bytes;
    return bytes;
  }

  /** @throws InvalidValueError outside the manifest */
  at(index: number): { shard: number; chunk: number; entry: ShardEntry; bytes: number; sha256: Uint8Array } {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#starts[middle] ?? 0) <= index) low = middle;
      else high = middle - 1;
    }
    const entry = this.shards[low];
    const chunk = index - (this.#starts[low] ?? 0);
    const sha256 = entry?.chunks[chunk];
    if (entry === undefined || sha256 === undefined) {
      throw new InvalidValueError('chunk', `0 to ${this.total - 1}`, String(index));
    }
    const { start, end } = chunkRange(entry, chunk);
    return { shard: low, chunk, entry, bytes: end - start, sha256 };
  }
}
