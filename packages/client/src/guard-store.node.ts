/** The sample of guards of a Node peer: a file for its owner alone, never seen half written. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { memoryGuardStore, type GuardStore } from './guard-store.ts';

/** @param folder made when it is not there */
export function fileGuardStore(folder: string): GuardStore {
  const path = join(folder, 'guards.json');
  return {
    read() {
      try {
        return readFileSync(path, 'utf8');
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
        throw error;
      }
    },
    write(text) {
      mkdirSync(folder, { recursive: true });
      writeFileSync(`${path}.new`, text, { mode: 0o600 });
      renameSync(`${path}.new`, path);
    },
  };
}

export function openNodeGuardStore(folder: string | undefined): GuardStore {
  return folder === undefined ? memoryGuardStore() : fileGuardStore(folder);
}
