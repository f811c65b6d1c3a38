/** A publisher's key on disk: 64 hex digits of seed, readable by its owner alone; made when there is none. */
import { readFile, writeFile } from 'node:fs/promises';
import {
  bytesToHex,
  hexToBytes,
  identityFromSeed,
  InvalidValueError,
  randomIdentity,
  type Identity,
} from '@unfed/protocol';

/** @returns also whether it was made just now @throws InvalidValueError when the file holds something else */
export async function publisherFrom(path: string): Promise<{ publisher: Identity; isNew: boolean }> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) {
    const publisher = randomIdentity();
    await writeFile(path, `${bytesToHex(publisher.seed)}\n`, { flag: 'wx', mode: 0o600, flush: true });
    return { publisher, isNew: true };
  }
  const seed = text.trim();
  if (!/^[0-9a-f]{64}$/.test(seed)) {
    // What it held instead may be somebody's secret: it is not repeated.
    throw new InvalidValueError(`key file ${path}`, '64 lowercase hex digits', `${seed.length} other characters`);
  }
  return { publisher: identityFromSeed(hexToBytes(seed)), isNew: false };
}
