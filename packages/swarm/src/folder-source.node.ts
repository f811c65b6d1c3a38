/** A folder of models on this machine, `<folder>/<manifest hash>/<file>`: verified like every other source. */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { errorText } from '@unfed/protocol';
import { SourceError } from './errors.ts';
import type { ShardSource } from './shard-source.ts';
import { verifiedSource, type RawFiles, type RawRead } from './verified-source.ts';

/** The same as raw files, for a swarm. @param folder as for folderSource */
export function folderFiles(folder: string): RawFiles {
  return new FolderFiles(folder);
}

/** @param folder holds one folder a model, named by its manifest's hash */
export function folderSource(folder: string): ShardSource {
  // What a disk says once it says again: there is one try.
  return verifiedSource(new FolderFiles(folder), { triesMax: 1, backoffMs: 0, backoffMsMax: 0 });
}

class FolderFiles implements RawFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async *read({ path, start, until, signal }: RawRead): AsyncGenerator<Uint8Array, void, void> {
    const stream = createReadStream(join(this.#folder, path), {
      start,
      end: until === undefined ? Infinity : until - 1,
      highWaterMark: 1 << 20,
      signal,
    });
    try {
      for await (const part of stream) yield part as Uint8Array;
    } catch (cause) {
      signal?.throwIfAborted();
      const missing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
      const failure = missing ? 'not-found' : 'unreadable';
      const detail = missing ? 'there is no such file in the folder' : `the file cannot be read: ${errorText(cause)}`;
      throw new SourceError({ failure, path, transient: false }, detail, { cause });
    }
  }
}
