/**
 * A publisher's signature of a manifest. It lies beside the manifest and outside its hash, so that signing changes no
 * pool's name and one manifest may be signed by several.
 */
import { DecodeError } from './errors.ts';
import { hexToBytes, type ManifestHash } from './ids.ts';
import type { Identity, PeerId } from './peer-id.ts';
import { sign, verify } from './signing.ts';

const label = 'manifest v1';

/** Beside `manifestFileName`. */
export const manifestSignatureFileName = 'manifest.sig';
export const manifestSignatureBytes = 64;

/** @returns the bytes of the signature's file: Ed25519 over the label and the 32 bytes of the manifest's hash */
export function signManifest(hash: ManifestHash, publisher: Identity): Uint8Array {
  return sign(label, hexToBytes(hash), publisher);
}

/** @throws DecodeError for another length, SignatureError unless `publisher` signed this manifest */
export function verifyManifestSignature(hash: ManifestHash, signature: Uint8Array, publisher: PeerId): void {
  if (signature.byteLength !== manifestSignatureBytes) {
    throw new DecodeError('manifest signature', `${manifestSignatureBytes} bytes`, `${signature.byteLength} bytes`);
  }
  verify(label, hexToBytes(hash), { signature, peer: publisher });
}
