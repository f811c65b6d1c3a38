/** An identity on disk, a relay's or a volunteer's: 64 hex digits of seed, for its owner alone; made when there is none. */
import { open, readFile } from 'node:fs/promises';
import {
  bytesToHex,
  hexToBytes,
  identityFromSeed,
  InvalidValueError,
  randomIdentity,
  type Identity,
} from '@unfed/protocol';

/** @throws InvalidValueError when the file holds something else */
export async function identityFrom(path: string): Promise<Identity> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    return writeNew(path);
  }
  const seed = text.trim();
  if (!/^[0-9a-f]{64}$/.test(seed)) {
    // What it held instead may be somebody's secret: it is not repeated.
    throw new InvalidValueError(`identity file ${path}`, '64 lowercase hex digits', `${seed.length} other characters`);
  }
  return identityFromSeed(hexToBytes(seed));
}

async function writeNew(path: string): Promise<Identity> {
  const identity = randomIdentity();
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(`${bytesToHex(identity.seed)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  return identity;
}
