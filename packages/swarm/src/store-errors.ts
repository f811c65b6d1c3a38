/** Why a store could not do what it was asked for. That something does not fit is no error: see PutResult. */
import { UnfedError, type ManifestHash, type ShardId } from '@unfed/protocol';

/** The disk or the database failed; what it held may be gone. */
export class StoreError extends UnfedError {
  readonly code = 'store';

  constructor(what: string, detail: string, options?: ErrorOptions) {
    super(`${what}: expected the store to work, came: ${detail}; chunks can be fetched again`, options);
  }
}

/** A shard cannot be put together yet. */
export class ChunksMissingError extends UnfedError {
  readonly code = 'chunks-missing';
  readonly manifest: ManifestHash;
  readonly shard: ShardId;
  /** Ascending; none of them is held any more. */
  readonly chunks: readonly number[];

  constructor(manifest: ManifestHash, shard: ShardId, chunks: readonly number[]) {
    super(
      `${shard}: expected all chunks, ${chunks.length} are missing or damaged (${brief(chunks)}); fetch them again`,
    );
    this.manifest = manifest;
    this.shard = shard;
    this.chunks = chunks;
  }
}

function brief(chunks: readonly number[]): string {
  return chunks.slice(0, 8).join(', ') + (chunks.length > 8 ? ', …' : '');
}
