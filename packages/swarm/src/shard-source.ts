/** Where a model's files come from. Whatever the source, nothing unverified is ever returned. */
import type { Manifest, ManifestFile, ManifestHash, PeerId, ShardId } from '@unfed/protocol';

export interface SourceOptions {
  readonly signal?: AbortSignal;
}

export interface ManifestOptions extends SourceOptions {
  /** Where the pool names one: the manifest must be signed by it. */
  readonly publisher?: PeerId;
}

export interface ShardOptions extends SourceOptions {
  /** Called with how many more bytes were verified: the sum of all calls is the shard's length. */
  readonly onProgress?: (bytes: number) => void;
}

export interface ShardSource {
  /**
   * @returns the manifest and its bytes, which have this hash
   * @throws SourceError, HashMismatchError, DecodeError, and the signal's reason; so do the others. SignatureError when
   *   it is not signed by its publisher
   */
  manifest(hash: ManifestHash, options?: ManifestOptions): Promise<{ manifest: Manifest; bytes: Uint8Array }>;
  /** @throws also InvalidValueError when the manifest has no such file */
  file(manifest: Manifest, file: ManifestFile, options?: SourceOptions): Promise<Uint8Array>;
  /** @throws also OutOfMemoryError */
  shard(manifest: Manifest, id: ShardId, options?: ShardOptions): Promise<Uint8Array>;
}
