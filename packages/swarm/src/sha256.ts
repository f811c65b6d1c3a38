/** SHA-256 by the platform; by noble where a page is no secure context and has no crypto.subtle (ten times slower). */
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, HashMismatchError } from '@unfed/protocol';

/** @param bytes must not change until the promise resolves */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const subtle: SubtleCrypto | undefined = globalThis.crypto.subtle;
  return subtle === undefined ? nobleSha256(bytes) : new Uint8Array(await subtle.digest('SHA-256', bytes));
}

/** @throws HashMismatchError */
export async function checkSha256(what: string, bytes: Uint8Array<ArrayBuffer>, expected: Uint8Array): Promise<void> {
  const [expectedHash, cameHash] = [bytesToHex(expected), bytesToHex(await sha256(bytes))];
  if (cameHash !== expectedHash) throw new HashMismatchError(what, expectedHash, cameHash);
}
