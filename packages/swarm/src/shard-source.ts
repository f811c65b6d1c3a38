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

export interface FetchedManifest {
  readonly manifest: Manifest;
  /** They have the hash that was asked for. */
  readonly bytes: Uint8Array;
  /** By the publisher that was named, verified; absent where none was. */
  readonly signature?: Uint8Array;
}

export interface ShardSource {
  /**
   * @throws SourceError, HashMismatchError, DecodeError, and the signal's reason; so do the others. SignatureError and
   *   UnsignedManifestError when it is not signed by its publisher
   */
  manifest(hash: ManifestHash, options?: ManifestOptions): Promise<FetchedManifest>;
  /** @throws also InvalidValueError when the manifest has no such file */
  file(manifest: Manifest, file: ManifestFile, options?: SourceOptions): Promise<Uint8Array>;
  /** @throws also OutOfMemoryError */
  shard(manifest: Manifest, id: ShardId, options?: ShardOptions): Promise<Uint8Array>;
}

/**
 * The same source, with the publishers that pools name: whoever asks it for a manifest cannot forget to check.
 * @param publisherOf the publisher that a model's pool names, if it names one
 */
export function withPublishers(
  source: ShardSource,
  publisherOf: (manifest: ManifestHash) => PeerId | undefined,
): ShardSource {
  return {
    manifest(hash, options = {}) {
      const publisher = publisherOf(hash);
      return source.manifest(hash, publisher === undefined ? options : { ...options, publisher });
    },
    file: (manifest, file, options) => source.file(manifest, file, options),
    shard: (manifest, id, options) => source.shard(manifest, id, options),
  };
}
