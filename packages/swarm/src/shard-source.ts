/** Where a model's files come from. Whatever the source, nothing unverified is ever returned. */
import type { Manifest, ManifestFile, ManifestHash, ShardId } from '@unfed/protocol';

export interface SourceOptions {
  readonly signal?: AbortSignal;
}

export interface ShardOptions extends SourceOptions {
  /** Called with how many more bytes were verified: the sum of all calls is the shard's length. */
  readonly onProgress?: (bytes: number) => void;
}

export interface ShardSource {
  /**
   * @returns the manifest and its bytes, which have this hash
   * @throws SourceError, HashMismatchError, DecodeError, and the signal's reason; so do the others
   */
  manifest(hash: ManifestHash, options?: SourceOptions): Promise<{ manifest: Manifest; bytes: Uint8Array }>;
  /** @throws also InvalidValueError when the manifest has no such file */
  file(manifest: Manifest, file: ManifestFile, options?: SourceOptions): Promise<Uint8Array>;
  /** @throws also OutOfMemoryError */
  shard(manifest: Manifest, id: ShardId, options?: ShardOptions): Promise<Uint8Array>;
}
