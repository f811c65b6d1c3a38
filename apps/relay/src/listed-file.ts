/** For how long peers were listed, on disk beside the relay's identity, so that a restart makes nobody a newcomer. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { ListedTimes } from '@unfed/network/node';
import * as limits from './limits.ts';

export interface ListedFile {
  readonly times: ListedTimes;
  /** Writes the last state and ends. */
  stop(): Promise<void>;
}

export interface ListedFileInit {
  readonly path: string;
  /** The file could not be written; it is tried again. */
  readonly onFailed: (error: unknown) => void;
}

/**
 * Reads the file, and writes it anew every few minutes: peer ids and times, no address.
 * @throws InvalidValueError when the file holds something else
 */
export async function openListedFile({ path, onFailed }: ListedFileInit): Promise<ListedFile> {
  const text = await readOrNothing(path);
  const times = text === undefined ? new ListedTimes() : ListedTimes.decode(text);
  let writing: Promise<void> = Promise.resolve();
  const write = (): Promise<void> => {
    // One at a time; a reader, or a crash, never sees half a file.
    writing = writing
      .then(async () => {
        const next = `${path}.new`;
        await writeFile(next, times.encode(Date.now()), { mode: 0o600 });
        await rename(next, path);
      })
      .catch(onFailed);
    return writing;
  };
  const timer = setInterval(() => void write(), limits.listedWriteMs);
  timer.unref();
  return {
    times,
    stop() {
      clearInterval(timer);
      return write();
    },
  };
}

async function readOrNothing(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
