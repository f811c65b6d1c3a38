/**
 * Signed envelopes: an Ed25519 signature (RFC 8032, strict verification) over a label and the payload's bytes.
 * The label keeps a signature for one purpose from serving another.
 */
import { ed25519 } from '@noble/curves/ed25519.js';
import { SignatureError } from './errors.ts';
import { publicKeyOf, type Identity, type PeerId } from './peer-id.ts';

const encoder = new TextEncoder();

function message(label: string, payload: Uint8Array): Uint8Array {
  const head = encoder.encode(`unfed ${label}\0`);
  const bytes = new Uint8Array(head.length + payload.length);
  bytes.set(head);
  bytes.set(payload, head.length);
  return bytes;
}

/** @returns 64 bytes of signature */
export function sign(label: string, payload: Uint8Array, identity: Identity): Uint8Array {
  return ed25519.sign(message(label, payload), identity.seed);
}

/** @throws SignatureError unless `signature` is by `peer` over this label and payload */
export function verify(
  label: string,
  payload: Uint8Array,
  { signature, peer }: { signature: Uint8Array; peer: PeerId },
): void {
  let good = false;
  try {
    good = ed25519.verify(signature, message(label, payload), publicKeyOf(peer), { zip215: false });
  } catch {
    // noble throws for points and lengths that no signature can have: the same verdict.
  }
  if (!good) throw new SignatureError(label, peer);
}
