/**
 * Where chunks are kept between sessions. A store knows no manifests' contents: what it is given to keep was verified
 * by whoever puts it, and what it gives back is verified again where a hash is at hand, because disks lie too.
 */
import type { ManifestHash, ShardEntry, ShardId } from '@unfed/protocol';

/** Where a chunk belongs. */
export interface ChunkAddress {
  readonly manifest: ManifestHash;
  readonly shard: ShardId;
  /** Counted from 0 within the shard. */
  readonly chunk: number;
}

/** full: neither the bytes nor anything that was held before was lost; they do not fit the cap or the browser's quota. */
export type PutResult = 'stored' | 'full';

/** What one model takes. */
export interface StoredModel {
  readonly manifest: ManifestHash;
  /** Shards, small files and the manifest. */
  readonly bytes: number;
  /** Bytes by shard, of those of which at least one chunk is held. */
  readonly shards: ReadonlyMap<ShardId, number>;
}

export interface AssembleOptions {
  readonly signal?: AbortSignal;
  /** Called with how many more bytes were verified: the sum of all calls is the shard's length. */
  readonly onProgress?: (bytes: number) => void;
}

export interface ChunkStore {
  /**
   * Reads what is there now, whoever put it: another tab, or another session before a crash.
   * @returns the indexes of the chunks held, ascending, by shard; shards of which there is none are absent
   * @throws StoreError; so do all that read or write
   */
  held(manifest: ManifestHash): Promise<ReadonlyMap<ShardId, readonly number[]>>;

  /**
   * Keeps a verified chunk. Puts are gathered into batches; the promise resolves when the chunk would be there after a
   * crash of this process, so bytes in memory are bounded by how many puts a caller leaves open. A second put of the
   * same chunk changes nothing.
   * @param bytes must not change until the promise resolves
   */
  put(address: ChunkAddress, bytes: Uint8Array<ArrayBuffer>): Promise<PutResult>;

  /**
   * @param sha256 when given, a chunk that does not have it is dropped from the store and not returned
   * @returns undefined when the chunk is not held, or could not be read whole
   */
  get(address: ChunkAddress, sha256?: Uint8Array): Promise<Uint8Array<ArrayBuffer> | undefined>;

  /**
   * A shard in one piece for the engine: one allocation of the shard and, beside it, one chunk at a time.
   * Every chunk is verified.
   * @throws ChunksMissingError with the chunks that are to be fetched (again): those not held, and those that were
   *   wrong, which are dropped; OutOfMemoryError; the signal's reason
   */
  assemble(manifest: ManifestHash, entry: ShardEntry, options?: AssembleOptions): Promise<Uint8Array<ArrayBuffer>>;

  /** Keeps a small file, or the manifest's own bytes, under its name; verified by whoever puts it. */
  putFile(manifest: ManifestHash, name: string, bytes: Uint8Array<ArrayBuffer>): Promise<PutResult>;
  /** @returns undefined when there is none; unverified */
  getFile(manifest: ManifestHash, name: string): Promise<Uint8Array<ArrayBuffer> | undefined>;

  /** Forgets a model with its small files, or only some of its shards. */
  drop(manifest: ManifestHash, shards?: readonly ShardId[]): Promise<void>;

  /** Of which models something is held. */
  models(): Promise<readonly StoredModel[]>;

  /** What is taken, as last seen: exact after every call here, and soon after those of other tabs. */
  readonly usedBytes: number;
  /** Puts that would bring `usedBytes` above it are answered 'full'. Lowering it removes nothing: see freeRoom. */
  capBytes: number;

  /** Called after chunks, files or models came or went, here or in another tab of the same store. @returns to stop */
  onChange(listener: (change: StoreChange) => void): () => void;

  /** Finishes the puts that are under way. What is called afterwards throws StoreError. */
  close(): Promise<void>;
}

export interface StoreChange {
  readonly manifest: ManifestHash;
  /** stored: more of it is held; dropped: less. */
  readonly what: 'stored' | 'dropped';
  /** Whether another tab did it. */
  readonly elsewhere: boolean;
}
