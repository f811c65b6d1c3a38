/** A finished folder of shards, named by its manifest's hash, as relays serve it and Node peers read it. */
import { createHash } from 'node:crypto';
import { open, readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import {
  bytesToHex,
  decodeManifest,
  hashManifest,
  HashMismatchError,
  limits,
  manifestFileName,
  manifestFileNames,
  shardFileName,
  type FileEntry,
  type Manifest,
  type ManifestFile,
  type ManifestHash,
} from '@unfed/protocol';
import { ModelFolderError } from './errors.ts';
import { hashChunks } from './shard-writer.node.ts';
import { checkManifestSizes } from './shard-layout.ts';

export interface ModelFolder {
  readonly folder: string;
  readonly hash: ManifestHash;
  readonly manifest: Manifest;
  readonly manifestBytes: Uint8Array<ArrayBuffer>;
}

/** The small files that a manifest names, with their entries. */
export function smallFiles(manifest: Manifest): { key: ManifestFile; name: string; entry: FileEntry }[] {
  const keys = Object.keys(manifestFileNames) as ManifestFile[];
  return keys.flatMap((key) => {
    const entry = manifest[key];
    return entry === null ? [] : [{ key, name: manifestFileNames[key], entry }];
  });
}

/**
 * Checks that the folder's name is its manifest's hash, that sizes follow from the architecture, that every file has its
 * size and every small file its hash. Shards' chunks are checked by whoever uses them.
 * @throws ModelFolderError, HashMismatchError, DecodeError, ManifestSizeError
 */
export async function openModelFolder(folder: string): Promise<ModelFolder> {
  const path = join(folder, manifestFileName);
  const size = await sizeOf(path);
  if (size > limits.manifestBytesMax) {
    throw new ModelFolderError(path, `at most ${limits.manifestBytesMax} bytes`, `${size} bytes`);
  }
  const manifestBytes = new Uint8Array(await readFile(path));
  const hash = hashManifest(manifestBytes);
  const name = basename(resolve(folder));
  if (name !== hash) throw new HashMismatchError(`manifest of folder ${folder}`, name, hash);
  const manifest = decodeManifest(manifestBytes, hash);
  checkManifestSizes(manifest);
  for (const { id, bytes } of manifest.shards) await checkSize(join(folder, shardFileName(id)), bytes);
  for (const { name: file, entry } of smallFiles(manifest)) {
    await checkSize(join(folder, file), entry.bytes);
    const came = createHash('sha256')
      .update(await readFile(join(folder, file)))
      .digest('hex');
    const expected = bytesToHex(entry.sha256);
    if (came !== expected) throw new HashMismatchError(join(folder, file), expected, came);
  }
  return { folder, hash, manifest, manifestBytes };
}

/**
 * Checks every chunk of every shard, which `openModelFolder` leaves to whoever uses it.
 * @throws HashMismatchError for the first that differs
 */
export async function checkShards({ folder, manifest }: ModelFolder): Promise<void> {
  for (const { id, bytes, chunks } of manifest.shards) {
    const path = join(folder, shardFileName(id));
    const file = await open(path);
    try {
      const came = await hashChunks(file, bytes);
      for (const [i, chunk] of chunks.entries()) {
        const [right, wrong] = [bytesToHex(chunk), bytesToHex(came[i] ?? new Uint8Array())];
        if (right !== wrong) throw new HashMismatchError(`${path} (chunk ${i})`, right, wrong);
      }
    } finally {
      await file.close();
    }
  }
}

async function checkSize(path: string, bytes: number): Promise<void> {
  const came = await sizeOf(path);
  if (came !== bytes) throw new ModelFolderError(path, `${bytes} bytes`, `${came} bytes`);
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (cause) {
    throw new ModelFolderError(path, 'a file', 'none that can be read', { cause });
  }
}
