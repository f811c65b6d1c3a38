/**
 * Tor's ntor v3 handshake (proposal 332): one round trip gives client and hop a key stream that nobody else has, proves to
 * the client that it speaks with the holder of the hop key, and carries a sealed message each way. The client's message is
 * sealed for the hop key, without forward secrecy; the hop's, and all keys, have it.
 * Curve25519 (RFC 7748), SHA3-256 and SHAKE-256 (FIPS 202), AES-256-CTR (SP 800-38A), all from noble.
 */
import { ctr } from '@noble/ciphers/aes.js';
import { x25519 } from '@noble/curves/ed25519.js';
import { sha3_256, shake256 } from '@noble/hashes/sha3.js';
import { concat, equalBytes, type RandomBytes } from './bytes.ts';
import { CircuitError } from './errors.ts';

const text = new TextEncoder();
const protoId = text.encode('ntor3-curve25519-sha3_256-1');
const server = text.encode('Server');
const keyBytes = 32;
/** Node id, hop key, client key, and the MAC at the end. */
const clientOverheadBytes = 4 * keyBytes;
const serverOverheadBytes = 2 * keyBytes;

function tweak(name: string): Uint8Array {
  return encapsulated(concat(protoId, text.encode(`:${name}`)));
}

/** ENCAP: the length in 8 bytes, big-endian, then the bytes. */
function encapsulated(bytes: Uint8Array): Uint8Array {
  const length = new Uint8Array(8);
  new DataView(length.buffer).setUint32(4, bytes.length);
  return concat(length, bytes);
}

const tweaks = {
  messageKeys: tweak('kdf_phase1'),
  messageMac: tweak('msg_mac'),
  keySeed: tweak('key_seed'),
  verify: tweak('verify'),
  final: tweak('kdf_final'),
  auth: tweak('auth_final'),
};

function hash(tweak: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  return sha3_256(concat(tweak, ...parts));
}

function stream(tweak: Uint8Array, input: Uint8Array, bytes: number): Uint8Array {
  return shake256(concat(tweak, input), { dkLen: bytes });
}

/** AES-256-CTR from counter 0; its own inverse. */
function crypt(key: Uint8Array, message: Uint8Array): Uint8Array {
  return ctr(key, new Uint8Array(16)).encrypt(message);
}

/** @throws CircuitError bad-handshake for points of small order, whose secret everybody knows */
function sharedSecret(secret: Uint8Array, publicKey: Uint8Array): Uint8Array {
  try {
    return x25519.getSharedSecret(secret, publicKey);
  } catch (cause) {
    throw new CircuitError('bad-handshake', 'a key of the handshake is no point to use', { cause });
  }
}

export function publicKeyOfSecret(secret: Uint8Array): Uint8Array {
  return x25519.getPublicKey(secret);
}

/** Keys, as many bytes as are asked for: the same at both ends. */
export type KeyStream = (bytes: number) => Uint8Array;

/** What both ends know of the first message. */
interface FirstMessage {
  readonly id: Uint8Array;
  readonly hopKey: Uint8Array;
  readonly clientKey: Uint8Array;
  readonly verification: Uint8Array;
  /** EXP(B, x), which is EXP(X, b). */
  readonly hopSecret: Uint8Array;
}

function messageKeys({ hopSecret, id, clientKey, hopKey, verification }: FirstMessage) {
  const input = concat(hopSecret, id, clientKey, hopKey, protoId, encapsulated(verification));
  const keys = stream(tweaks.messageKeys, input, 2 * keyBytes);
  return { encryption: keys.subarray(0, keyBytes), mac: keys.subarray(keyBytes) };
}

function messageMac(key: Uint8Array, { id, hopKey, clientKey }: FirstMessage, sealed: Uint8Array): Uint8Array {
  return hash(tweaks.messageMac, encapsulated(key), id, hopKey, clientKey, sealed);
}

interface SecondMessage {
  /** EXP(Y, x), which is EXP(X, y). */
  readonly freshSecret: Uint8Array;
  readonly serverKey: Uint8Array;
  /** Of the first message. */
  readonly mac: Uint8Array;
}

/** @returns the key that seals the answer, the proof over the sealed answer, and the keys after it */
function finalKeys(first: FirstMessage, { freshSecret, serverKey, mac }: SecondMessage) {
  const { id, hopKey, clientKey, verification, hopSecret } = first;
  const parts = [freshSecret, hopSecret, id, hopKey, clientKey, serverKey, protoId, encapsulated(verification)];
  const input = concat(...parts);
  const seed = hash(tweaks.keySeed, input);
  const verify = hash(tweaks.verify, input);
  const keys: KeyStream = (bytes) => stream(tweaks.final, seed, keyBytes + bytes).subarray(keyBytes);
  return {
    encryption: stream(tweaks.final, seed, keyBytes),
    auth: (sealed: Uint8Array) =>
      hash(tweaks.auth, verify, id, hopKey, serverKey, clientKey, mac, encapsulated(sealed), protoId, server),
    keys,
  };
}

export interface HandshakeTarget {
  /** The hop's Ed25519 public key, 32 bytes. */
  readonly id: Uint8Array;
  /** Its X25519 hop key, from its signed announcement. */
  readonly hopKey: Uint8Array;
  /** What both must mean by this handshake. */
  readonly verification: Uint8Array;
}

export interface HandshakeResult {
  readonly message: Uint8Array;
  readonly keys: KeyStream;
}

export interface ClientHandshake {
  /** What travels: 128 bytes and the message. */
  readonly handshake: Uint8Array;
  /** The fresh key in it, by which the hop knows a handshake that came before. */
  readonly clientKey: Uint8Array;
  /** @throws CircuitError bad-handshake, unless the holder of the hop key answered this very handshake */
  finish(answer: Uint8Array): HandshakeResult;
}

/**
 * @param message for the hop alone; made when the client's fresh key is known, so that it can prove things about it
 * @throws CircuitError bad-handshake for a hop key that is no point to use
 */
export function startHandshake(
  { id, hopKey, verification }: HandshakeTarget,
  message: Uint8Array | ((clientKey: Uint8Array) => Uint8Array),
  random: RandomBytes,
): ClientHandshake {
  const secret = random(keyBytes);
  const clientKey = publicKeyOfSecret(secret);
  const first = { id, hopKey, clientKey, verification, hopSecret: sharedSecret(secret, hopKey) };
  const keys = messageKeys(first);
  const sealed = crypt(keys.encryption, typeof message === 'function' ? message(clientKey) : message);
  const mac = messageMac(keys.mac, first, sealed);
  return {
    handshake: concat(id, hopKey, clientKey, sealed, mac),
    clientKey,
    finish(answer) {
      if (answer.length < serverOverheadBytes) throw new CircuitError('bad-handshake', 'the answer is too short');
      const serverKey = answer.subarray(0, keyBytes);
      const sealedAnswer = answer.subarray(serverOverheadBytes);
      const final = finalKeys(first, { freshSecret: sharedSecret(secret, serverKey), serverKey, mac });
      if (!equalBytes(final.auth(sealedAnswer), answer.subarray(keyBytes, serverOverheadBytes))) {
        throw new CircuitError('bad-handshake');
      }
      return { message: crypt(final.encryption, sealedAnswer), keys: final.keys };
    },
  };
}

export interface ServerHandshake {
  readonly message: Uint8Array;
  readonly clientKey: Uint8Array;
  /** The hop key that the client used. */
  readonly hopKey: Uint8Array;
  /** Draws the fresh key. The answer may be sealed later, when it is known. */
  accept(random: RandomBytes): { readonly keys: KeyStream; readonly answer: (message: Uint8Array) => Uint8Array };
}

/**
 * @param own this hop's identity, and the secret of each of its hop keys that is still valid
 * @throws CircuitError bad-handshake (for another hop, or changed), stale-key (a hop key that is no longer valid)
 */
export function readHandshake(
  handshake: Uint8Array,
  own: {
    readonly id: Uint8Array;
    readonly verification: Uint8Array;
    readonly secretOf: (hopKey: Uint8Array) => Uint8Array | undefined;
  },
): ServerHandshake {
  if (handshake.length < clientOverheadBytes) throw new CircuitError('bad-handshake', 'a handshake is too short');
  const part = (index: number): Uint8Array => handshake.slice(index * keyBytes, (index + 1) * keyBytes);
  const [id, hopKey, clientKey] = [part(0), part(1), part(2)];
  if (!equalBytes(id, own.id)) throw new CircuitError('bad-handshake', 'a handshake for another hop');
  const hopKeySecret = own.secretOf(hopKey);
  if (hopKeySecret === undefined) throw new CircuitError('stale-key');
  const { verification } = own;
  const first = { id, hopKey, clientKey, verification, hopSecret: sharedSecret(hopKeySecret, clientKey) };
  const keys = messageKeys(first);
  const sealed = handshake.subarray(3 * keyBytes, handshake.length - keyBytes);
  const mac = handshake.slice(handshake.length - keyBytes);
  if (!equalBytes(messageMac(keys.mac, first, sealed), mac)) throw new CircuitError('bad-handshake');
  return {
    message: crypt(keys.encryption, sealed),
    clientKey,
    hopKey,
    accept(random) {
      const secret = random(keyBytes);
      const serverKey = publicKeyOfSecret(secret);
      const final = finalKeys(first, { freshSecret: sharedSecret(secret, clientKey), serverKey, mac });
      return {
        keys: final.keys,
        answer(message) {
          const sealedAnswer = crypt(final.encryption, message);
          return concat(serverKey, final.auth(sealedAnswer), sealedAnswer);
        },
      };
    },
  };
}
