/**
 * Peer ids as text, and the Ed25519 keys inside them, without libp2p.
 * A peer id is the base58btc form of the identity multihash of the protobuf of an Ed25519 public key
 * (libp2p spec, "Peer Ids and Keys"): 00 24 | 08 01 12 20 | 32 bytes of key.
 */
import { ed25519 } from '@noble/curves/ed25519.js';
import { base58 } from '@scure/base';
import { InvalidValueError } from './errors.ts';
import type { Brand } from './ids.ts';

export type PeerId = Brand<string, 'PeerId'>;

const prefix = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20);
const peerIdBytes = prefix.length + 32;
/** base58 of 38 bytes is at most 52 digits. */
const peerIdCharsMax = 60;

/** @throws InvalidValueError unless the text is an Ed25519 peer id in base58btc */
export function peerId(text: string): PeerId {
  publicKeyOf(text);
  return text as PeerId;
}

/** @returns the 32 bytes of the Ed25519 public key in a peer id */
export function publicKeyOf(text: string): Uint8Array {
  const expected = 'an Ed25519 peer id in base58btc (12D3KooW…)';
  if (text.length > peerIdCharsMax) throw new InvalidValueError('peer id', expected, `${text.length} characters`);
  let bytes: Uint8Array;
  try {
    bytes = base58.decode(text);
  } catch (cause) {
    throw new InvalidValueError('peer id', expected, text, { cause });
  }
  if (bytes.length !== peerIdBytes || !prefix.every((byte, i) => bytes[i] === byte)) {
    throw new InvalidValueError('peer id', expected, text);
  }
  return bytes.subarray(prefix.length);
}

export function peerIdFromPublicKey(publicKey: Uint8Array): PeerId {
  if (publicKey.length !== 32) throw new InvalidValueError('public key', '32 bytes', `${publicKey.length} bytes`);
  const bytes = new Uint8Array(peerIdBytes);
  bytes.set(prefix);
  bytes.set(publicKey, prefix.length);
  return base58.encode(bytes) as PeerId;
}

/** An Ed25519 identity: 32 bytes of seed, and what follows from it. */
export interface Identity {
  readonly peer: PeerId;
  readonly seed: Uint8Array;
}

export function identityFromSeed(seed: Uint8Array): Identity {
  if (seed.length !== 32) throw new InvalidValueError('identity seed', '32 bytes', `${seed.length} bytes`);
  return { peer: peerIdFromPublicKey(ed25519.getPublicKey(seed)), seed };
}

export function randomIdentity(): Identity {
  return identityFromSeed(crypto.getRandomValues(new Uint8Array(32)));
}
