/**
 * A Hugging Face folder to a folder of shards with a manifest. Everything is written to a temporary folder first, which
 * gets its final name last: a folder that has a hash for a name is whole.
 */
import { createHash } from 'node:crypto';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import {
  embeddingShard,
  encodeManifest,
  hashManifest,
  headShard,
  layerShard,
  manifestFileName,
  manifestFileNames,
  shardFileName,
  UnfedError,
  type Architecture,
  type FileEntry,
  type Manifest,
  type ManifestHash,
  type ShardId,
} from '@unfed/protocol';
import { Checkpoint, readFolderFiles, type FolderFiles } from './checkpoint.node.ts';
import type { Quantization } from './dimensions.ts';
import { ModelFolderError } from './errors.ts';
import { architectureFromConfig } from './hf-config.ts';
import { checkShards, openModelFolder, type ModelFolder } from './model-folder.node.ts';
import { parseJsonObject } from './safetensors.ts';
import { shardLayout } from './shard-layout.ts';
import { writeShard } from './shard-writer.node.ts';
import { shardSources } from './weight-sources.ts';

export interface AddProgress {
  /** Bytes of shards written, of all that will be. */
  readonly bytes: number;
  readonly bytesTotal: number;
  readonly shard: ShardId;
}

export interface AddModelOptions {
  /** config.json, safetensors, tokenizer.json and the rest. */
  readonly folder: string;
  /** The new folder is `out/<manifest hash>`. */
  readonly out: string;
  /** `none` widens all floats to f32, exactly. */
  readonly quantize: Quantization;
  /** Default: the folder's name. */
  readonly name?: string;
  readonly license?: string;
  readonly source?: string;
  readonly onProgress?: (progress: AddProgress) => void;
  readonly signal?: AbortSignal;
}

const partialPrefix = '.partial-';

/**
 * The same folder and options give the same bytes, so the same hash; a folder that is there and whole is kept.
 * @throws UnsupportedArchitectureError, ModelFolderError, DecodeError, InvalidValueError; the signal's reason
 */
export async function addModel(options: AddModelOptions): Promise<ModelFolder> {
  const { folder, out, quantize } = options;
  options.signal?.throwIfAborted();
  const files = await readFolderFiles(folder);
  const architecture = architectureFromConfig(parseJsonObject(files.config, join(folder, 'config.json')));
  const checkpoint = await Checkpoint.open(folder);
  try {
    checkAllUsed(checkpoint, architecture);
    await mkdir(out, { recursive: true });
    await removeAbandoned(out);
    const partial = join(out, `${partialPrefix}${process.pid}-${crypto.randomUUID()}`);
    try {
      await mkdir(partial);
      const shards = await writeShards(options, { architecture, checkpoint, partial });
      const manifest: Manifest = {
        version: 1,
        name: options.name ?? basename(resolve(folder)),
        license: options.license ?? 'unknown',
        source: options.source ?? 'a local folder',
        architecture,
        quantization: quantize,
        shards,
        ...fileEntries(files),
      };
      const manifestBytes = encodeManifest(manifest);
      await writeSmallFiles(partial, files, manifestBytes);
      return await publish(partial, out, hashManifest(manifestBytes));
    } finally {
      await rm(partial, { recursive: true, force: true });
    }
  } finally {
    await checkpoint.close();
  }
}

async function writeShards(
  { quantize, onProgress, signal }: AddModelOptions,
  { architecture, checkpoint, partial }: { architecture: Architecture; checkpoint: Checkpoint; partial: string },
): Promise<Manifest['shards']> {
  const ids = shardIds(architecture);
  const bytesTotal = ids.reduce((sum, id) => sum + shardLayout(architecture, quantize, id).bytes, 0);
  const shards: Manifest['shards'] = [];
  let before = 0;
  for (const id of ids) {
    let within = 0;
    const onBytes = (count: number): void => {
      within += count;
      onProgress?.({ bytes: before + within, bytesTotal, shard: id });
    };
    const path = join(partial, shardFileName(id));
    const job = { architecture, quantization: quantize, checkpoint, id, path, onBytes };
    const { bytes, chunks } = await writeShard(signal === undefined ? job : { ...job, signal });
    shards.push({ id, bytes, chunks });
    before += bytes;
    onProgress?.({ bytes: before, bytesTotal, shard: id });
  }
  return shards;
}

function shardIds({ layers }: Architecture): ShardId[] {
  return [embeddingShard, ...Array.from({ length: layers }, (_, i) => layerShard(i)), headShard];
}

/** Weights that the architecture does not know (a bias that the config denies, say) would silently change the model. */
function checkAllUsed(checkpoint: Checkpoint, architecture: Architecture): void {
  const known = new Set(
    shardIds(architecture).flatMap((id) => {
      const { matrices, vectors } = shardSources(architecture, 'none', id);
      return [...matrices.values(), ...vectors.values()].flat().map(({ source }) => source);
    }),
  );
  for (const name of checkpoint.names) {
    // Frequencies follow from the config; a tied head may be stored a second time.
    if (known.has(name) || name.endsWith('rotary_emb.inv_freq')) continue;
    if (name === 'lm_head.weight' && architecture.tiedEmbeddings) continue;
    throw new ModelFolderError(
      `weights (${name})`,
      `a tensor of a ${architecture.family} as config.json has it`,
      'one more',
    );
  }
}

function fileEntries(files: FolderFiles): Pick<Manifest, keyof FolderFiles> {
  const entry = (bytes: Uint8Array): FileEntry => ({
    bytes: bytes.byteLength,
    sha256: new Uint8Array(createHash('sha256').update(bytes).digest()),
  });
  return {
    tokenizer: entry(files.tokenizer),
    tokenizerConfig: entry(files.tokenizerConfig),
    config: entry(files.config),
    generationConfig: files.generationConfig === null ? null : entry(files.generationConfig),
  };
}

async function writeSmallFiles(partial: string, files: FolderFiles, manifestBytes: Uint8Array): Promise<void> {
  for (const key of Object.keys(manifestFileNames) as (keyof FolderFiles)[]) {
    const bytes = files[key];
    if (bytes !== null) await writeSynced(join(partial, manifestFileNames[key]), bytes);
  }
  await writeSynced(join(partial, manifestFileName), manifestBytes);
  await syncFolder(partial);
}

/** Gives the folder its name; one that stands there already is kept when it is whole, else replaced. */
async function publish(partial: string, out: string, hash: ManifestHash): Promise<ModelFolder> {
  const final = join(out, hash);
  try {
    const existing = await openModelFolder(final);
    await checkShards(existing);
    return existing;
  } catch (error) {
    if (!(error instanceof UnfedError)) throw error;
  }
  await rm(final, { recursive: true, force: true });
  try {
    await rename(partial, final);
  } catch (error) {
    // Another run finished the same model in this moment.
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
  }
  await syncFolder(out);
  return openModelFolder(final);
}

/** Folders of runs that ended before they finished. A run names its folder by its process. */
async function removeAbandoned(out: string): Promise<void> {
  for (const name of await readdir(out)) {
    const owner = new RegExp(`^\\${partialPrefix}(\\d+)-`).exec(name)?.[1];
    if (owner !== undefined && !isRunning(Number(owner))) await rm(join(out, name), { recursive: true, force: true });
  }
}

function isRunning(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
