/**
 * The manifest: the list of a model's files with the hash of every chunk. Its own SHA-256 is the pool's name.
 * It says nothing about where a file lies: file names follow from the shard's id, so no path travels.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import * as v from 'valibot';
import { architectureSchema } from './architecture.ts';
import { decodeCbor, encodeCbor, fixedBytes, integer, text } from './cbor.ts';
import { DecodeError, HashMismatchError } from './errors.ts';
import { bytesToHex, embeddingShard, headShard, layerShard, type ManifestHash, type ShardId } from './ids.ts';
import * as limits from './limits.ts';

const hash = fixedBytes(32);
const shardId = v.pipe(
  v.string(),
  v.regex(/^(embedding|head|layer-(0|[1-9][0-9]{0,3}))$/),
  v.transform((id) => id as ShardId),
);

const shardEntrySchema = v.pipe(
  v.strictObject({
    id: shardId,
    bytes: integer(1, limits.shardBytesMax),
    /** SHA-256 of every chunk of 1 MiB, in order; the last chunk may be shorter. */
    chunks: v.array(hash),
  }),
  v.check((s) => s.chunks.length === Math.ceil(s.bytes / limits.chunkBytes), 'one hash for every 1 MiB of the shard'),
);

const fileEntry = (bytesMax: number) => v.strictObject({ bytes: integer(1, bytesMax), sha256: hash });

export const manifestSchema = v.strictObject({
  version: v.literal(1),
  name: v.pipe(text(128), v.minLength(1)),
  license: text(256),
  source: text(512),
  architecture: architectureSchema,
  /** int4: symmetric, blocks of 32, fp16 scales. none: floats as the source had them. */
  quantization: v.picklist(['int4', 'none']),
  /** Embedding, every layer, head: in this order, each once. */
  shards: v.pipe(v.array(shardEntrySchema), v.maxLength(limits.shardsMax)),
  tokenizer: fileEntry(limits.tokenizerBytesMax),
  tokenizerConfig: fileEntry(limits.configBytesMax),
  config: fileEntry(limits.configBytesMax),
  generationConfig: v.nullable(fileEntry(limits.configBytesMax)),
});

export type ShardEntry = v.InferOutput<typeof shardEntrySchema>;
export type FileEntry = { readonly bytes: number; readonly sha256: Uint8Array };
export type Manifest = v.InferOutput<typeof manifestSchema>;

/** The small files beside the shards, by their names in the manifest. */
export const manifestFileNames = {
  tokenizer: 'tokenizer.json',
  tokenizerConfig: 'tokenizer_config.json',
  config: 'config.json',
  generationConfig: 'generation_config.json',
} as const;
export type ManifestFile = keyof typeof manifestFileNames;

export const manifestFileName = 'manifest.cbor';

export function shardFileName(id: ShardId): string {
  return `${id}.bin`;
}

/** Canonical: the same manifest gives the same bytes, so the same pool. */
export function encodeManifest(manifest: Manifest): Uint8Array<ArrayBuffer> {
  return encodeCbor(manifest);
}

export function hashManifest(bytes: Uint8Array): ManifestHash {
  return bytesToHex(sha256(bytes)) as ManifestHash;
}

/**
 * @param expected when given, the bytes must have this hash
 * @throws HashMismatchError, DecodeError (shape, limits, a shard missing, twice or out of order)
 */
export function decodeManifest(bytes: Uint8Array, expected?: ManifestHash): Manifest {
  if (bytes.byteLength > limits.manifestBytesMax) {
    throw new DecodeError('manifest', `at most ${limits.manifestBytesMax} bytes`, `${bytes.byteLength} bytes`);
  }
  if (expected !== undefined) {
    const came = hashManifest(bytes);
    if (came !== expected) throw new HashMismatchError('manifest', expected, came);
  }
  const manifest = decodeCbor(manifestSchema, bytes, { what: 'manifest', bytesMax: limits.manifestBytesMax });
  const ids = [
    embeddingShard,
    ...Array.from({ length: manifest.architecture.layers }, (_, i) => layerShard(i)),
    headShard,
  ];
  const came = manifest.shards.map((shard) => shard.id);
  if (came.length !== ids.length || !ids.every((id, i) => came[i] === id)) {
    throw new DecodeError(
      'manifest (shards)',
      `embedding, layer-0 to layer-${manifest.architecture.layers - 1}, head`,
      `${came.length} shards: ${came.slice(0, 4).join(', ')}…`,
    );
  }
  return manifest;
}

/** @throws DecodeError when the manifest has no such shard */
export function shardEntry(manifest: Manifest, id: ShardId): ShardEntry {
  const entry = manifest.shards.find((shard) => shard.id === id);
  if (entry === undefined)
    throw new DecodeError('shard', `one of ${manifest.shards.length} in the manifest of ${manifest.name}`, id);
  return entry;
}

/** `[start, end)` of a chunk within its shard. */
export function chunkRange(entry: ShardEntry, index: number): { start: number; end: number } {
  const start = index * limits.chunkBytes;
  return { start, end: Math.min(start + limits.chunkBytes, entry.bytes) };
}
