/**
 * Chunks as files, `<folder>/<manifest hash>/<shard or file name>/<index>`. Each is written beside its place and then
 * renamed, so that a process that dies leaves no half; what a power cut tears is found by its hash.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorText, type ManifestHash } from '@unfed/protocol';
import { BackedStore, type StoreOptions } from './backed-store.ts';
import { Gate } from './gate.ts';
import * as limits from './limits.ts';
import type { EntryKey, KeyPrefix, ReadResult, StoreBackend, StoredEntry, Write } from './store-backend.ts';
import { StoreError } from './store-errors.ts';
import type { ChunkStore, PutResult } from './store.ts';

export interface FilesStoreOptions extends StoreOptions {
  /** Made when it is not there; nothing else may be kept in it. */
  readonly folder: string;
}

/** @throws StoreError when the folder can neither be made nor read */
export async function filesStore({ folder, ...options }: FilesStoreOptions): Promise<ChunkStore> {
  const backend = new FilesBackend(folder);
  await backend.start();
  return new BackedStore(backend, options);
}

/** Where files are written before they get their names. */
const unfinishedFolder = '.unfinished';
const manifestFolder = /^[0-9a-f]{64}$/;
const partFolder = /^[a-z0-9][a-z0-9_.-]*$/;
const chunkFile = /^(0|[1-9][0-9]*)$/;

class FilesBackend implements StoreBackend {
  readonly #folder: string;
  /** Of those that change the folder: none counts or removes while another writes. */
  readonly #turn = new Gate(1);
  usedBytes = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async start(): Promise<void> {
    await this.#run(async () => {
      await mkdir(join(this.#folder, unfinishedFolder), { recursive: true });
      await this.#clearUnfinished();
      for (const { bytes } of await this.list()) this.usedBytes += bytes;
    });
  }

  async write(writes: readonly Write[], capBytes: number): Promise<readonly PutResult[]> {
    return this.#alone(async () => {
      const results: PutResult[] = [];
      // In turn, because room is counted as it is taken.
      for (const write of writes) results.push(await this.#writeOne(write, capBytes));
      return results;
    });
  }

  async read(key: EntryKey): Promise<ReadResult> {
    try {
      const bytes = await readFile(this.#pathOf(key));
      return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    } catch (error) {
      return isMissing(error) ? 'absent' : 'damaged';
    }
  }

  async list(manifest?: ManifestHash): Promise<readonly StoredEntry[]> {
    return this.#run(async () => {
      const models = manifest === undefined ? await names(this.#folder, manifestFolder) : [manifest];
      const entries: StoredEntry[] = [];
      for (const model of models) {
        for (const part of await names(join(this.#folder, model), partFolder)) {
          for (const index of await names(join(this.#folder, model, part), chunkFile)) {
            const key = { manifest: model as ManifestHash, part, index: Number(index) };
            const bytes = await this.#bytesOf(key);
            if (bytes !== undefined) entries.push({ ...key, bytes });
          }
        }
      }
      return entries;
    });
  }

  async remove(prefixes: readonly KeyPrefix[]): Promise<void> {
    await this.#alone(async () => {
      for (const { manifest, part, index } of prefixes) {
        const path = [manifest, ...(part === undefined ? [] : [part]), ...(index === undefined ? [] : [`${index}`])];
        await rm(join(this.#folder, ...path), { recursive: true, force: true });
      }
      let used = 0;
      for (const { bytes } of await this.list()) used += bytes;
      this.usedBytes = used;
    });
  }

  async close(): Promise<void> {
    // No file stays open between calls.
  }

  async #writeOne(write: Write, capBytes: number): Promise<PutResult> {
    if ((await this.#bytesOf(write)) !== undefined) return 'stored';
    if (this.usedBytes + write.bytes.byteLength > capBytes) return 'full';
    const unfinished = join(this.#folder, unfinishedFolder, randomUUID());
    const path = this.#pathOf(write);
    try {
      await writeFile(unfinished, write.bytes);
      await mkdir(dirname(path), { recursive: true });
      await rename(unfinished, path);
    } catch (error) {
      await rm(unfinished, { force: true });
      if (isNoRoom(error)) return 'full';
      throw error;
    }
    this.usedBytes += write.bytes.byteLength;
    return 'stored';
  }

  /** @returns undefined when there is no such file */
  async #bytesOf(key: EntryKey): Promise<number | undefined> {
    try {
      return (await stat(this.#pathOf(key))).size;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  #pathOf({ manifest, part, index }: EntryKey): string {
    return join(this.#folder, manifest, part, String(index));
  }

  /** Removes what processes that died left; what is young may be another process's that still writes. */
  async #clearUnfinished(): Promise<void> {
    const folder = join(this.#folder, unfinishedFolder);
    for (const name of await readdir(folder)) {
      const path = join(folder, name);
      const writtenMs = await stat(path).then(
        ({ mtimeMs }) => mtimeMs,
        () => Number.POSITIVE_INFINITY,
      );
      if (Date.now() - writtenMs > limits.unfinishedFileMsMax) await rm(path, { force: true });
    }
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    const leave = await this.#turn.enter();
    try {
      return await this.#run(work);
    } finally {
      leave();
    }
  }

  async #run<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof StoreError) throw cause;
      throw new StoreError(`folder ${this.#folder}`, errorText(cause), { cause });
    }
  }
}

/** The names in a folder that are ours; none when there is no such folder. */
async function names(folder: string, pattern: RegExp): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => pattern.test(name));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

const hasCode = (error: unknown, codes: readonly unknown[]): boolean =>
  error instanceof Error && 'code' in error && codes.includes(error.code);
const isMissing = (error: unknown): boolean => hasCode(error, ['ENOENT', 'ENOTDIR']);
const isNoRoom = (error: unknown): boolean => hasCode(error, ['ENOSPC', 'EDQUOT']);
