/** Bytes put together, compared in constant time, and drawn at random. */
import { CircuitError } from './errors.ts';

/** @returns this many bytes that nobody can guess; a test passes seeded ones */
export type RandomBytes = (length: number) => Uint8Array;

export const secureRandom: RandomBytes = (length) => crypto.getRandomValues(new Uint8Array(length));

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Takes as long for unequal bytes as for equal ones of the same length. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i] ^ b[i];
  return difference === 0;
}

/** @returns `content` with its length before it, filled up with zeros to `bytes` */
export function padTo(bytes: number, content: Uint8Array): Uint8Array {
  if (content.length > bytes - 2) throw new CircuitError('protocol', `${content.length} bytes do not fit in ${bytes}`);
  const padded = new Uint8Array(bytes);
  new DataView(padded.buffer).setUint16(0, content.length);
  padded.set(content, 2);
  return padded;
}

/** @throws CircuitError protocol, where the length is not within the bytes */
export function unpad(padded: Uint8Array): Uint8Array {
  const length = padded.length < 2 ? Infinity : padded[0] * 256 + padded[1];
  if (length > padded.length - 2) throw new CircuitError('protocol', 'a length beyond its cell');
  return padded.subarray(2, 2 + length);
}
