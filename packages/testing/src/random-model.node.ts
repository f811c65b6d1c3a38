/** Whole random models with a valid manifest, and their folders on disk. */
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Quantization } from '@unfed/model';
import { demoModelFolder, openModelFolder, type ModelFolder } from '@unfed/model/node';
import {
  embeddingShard,
  encodeManifest,
  hashManifest,
  headShard,
  layerShard,
  limits,
  manifestFileName,
  manifestFileNames,
  shardFileName,
  type Architecture,
  type FileEntry,
  type Manifest,
  type ManifestHash,
  type ShardId,
} from '@unfed/protocol';
import { randomShard } from './random-shards.ts';

export interface RandomShards {
  readonly manifest: Manifest;
  readonly manifestBytes: Uint8Array<ArrayBuffer>;
  readonly hash: ManifestHash;
  /** Makes the shard again at every call: nothing is held. */
  shard(id: ShardId): Uint8Array<ArrayBuffer>;
}

/** A model in memory, shard by shard, with the demo model's tokenizer. The vocabulary may be larger than that has words. */
export async function randomShards(
  architecture: Architecture,
  seed: number,
  options: { readonly quantization?: Quantization } = {},
): Promise<RandomShards> {
  const { quantization = 'int4' } = options;
  const model = { architecture, quantization, seed };
  const ids = [embeddingShard, ...Array.from({ length: architecture.layers }, (_, i) => layerShard(i)), headShard];
  const files = await Promise.all(Object.values(manifestFileNames).map(demoFileEntry));
  const [tokenizer, tokenizerConfig, config, generationConfig] = files as [FileEntry, FileEntry, FileEntry, FileEntry];
  const manifest: Manifest = {
    version: 1,
    name: `random-${architecture.family}-${seed}`,
    license: 'Apache-2.0',
    source: 'random weights',
    architecture,
    quantization,
    shards: ids.map((id) => {
      const bytes = randomShard(model, id);
      return { id, bytes: bytes.byteLength, chunks: chunkHashes(bytes) };
    }),
    tokenizer,
    tokenizerConfig,
    config,
    generationConfig,
  };
  const manifestBytes = encodeManifest(manifest);
  return { manifest, manifestBytes, hash: hashManifest(manifestBytes), shard: (id) => randomShard(model, id) };
}

/** The same on disk, as `out/<manifest hash>`; written anew each time. */
export async function randomModelFolder(
  out: string,
  architecture: Architecture,
  options: { readonly seed: number; readonly quantization?: Quantization },
): Promise<ModelFolder> {
  const model = await randomShards(architecture, options.seed, options);
  const folder = join(out, model.hash);
  await mkdir(folder, { recursive: true });
  for (const { id } of model.manifest.shards) await writeFile(join(folder, shardFileName(id)), model.shard(id));
  for (const name of Object.values(manifestFileNames)) await copyFile(join(demoModelFolder, name), join(folder, name));
  await writeFile(join(folder, manifestFileName), model.manifestBytes);
  return openModelFolder(folder);
}

async function demoFileEntry(name: string): Promise<FileEntry> {
  const bytes = await readFile(join(demoModelFolder, name));
  return { bytes: bytes.byteLength, sha256: hash(bytes) };
}

function chunkHashes(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.byteLength / limits.chunkBytes) }, (_, i) =>
    hash(bytes.subarray(i * limits.chunkBytes, (i + 1) * limits.chunkBytes)),
  );
}

function hash(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest());
}
