/** Canonical CBOR (RFC 8949, 4.2.1) by cborg, and decoding that gives typed errors whatever the bytes are. */
import { decode, encode } from 'cborg';
import * as v from 'valibot';
import { DecodeError } from './errors.ts';

/**
 * Deterministic: maps sorted, shortest integers and floats, no floats where an integer serves. cborg sorts keys by
 * length first, which for text keys, the only ones here, is the bytewise order of the RFC.
 */
export function encodeCbor(value: unknown): Uint8Array<ArrayBuffer> {
  return new Uint8Array(encode(value));
}

/**
 * @param what the name of the thing, for the error
 * @param bytesMax refused unread above this
 * @throws DecodeError for every kind of wrong bytes: too long, not CBOR, not canonical, trailing bytes, duplicate keys, another shape
 */
export function decodeCbor<S extends v.GenericSchema>(
  schema: S,
  bytes: Uint8Array,
  { what, bytesMax }: { what: string; bytesMax: number },
): v.InferOutput<S> {
  if (bytes.byteLength > bytesMax) {
    throw new DecodeError(what, `at most ${bytesMax} bytes`, `${bytes.byteLength} bytes`);
  }
  let value: unknown;
  try {
    value = decode(bytes, {
      strict: true,
      allowIndefinite: false,
      allowUndefined: false,
      allowInfinity: false,
      allowNaN: false,
      rejectDuplicateMapKeys: true,
    });
  } catch (cause) {
    throw new DecodeError(what, 'canonical CBOR', cause instanceof Error ? cause.message : 'other bytes', { cause });
  }
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) {
    if (sameBytes(encode(value), bytes)) return result.output;
    throw new DecodeError(what, 'canonical CBOR', 'another encoding of the same value');
  }
  const issue = result.issues[0];
  const path = v.getDotPath(issue) ?? 'the whole';
  throw new DecodeError(`${what} (${path})`, issue.expected ?? issue.message, String(issue.received).slice(0, 80));
}

/** Bytes, whatever kind of buffer they lie in. */
export const anyBytes = v.custom<Uint8Array>((value) => value instanceof Uint8Array, 'bytes');

/** Bytes of an exact length. */
export function fixedBytes(length: number) {
  return v.pipe(
    anyBytes,
    v.check((bytes) => bytes.byteLength === length, `${length} bytes`),
  );
}

/** A whole number in `[min, max]`. */
export function integer(min: number, max: number) {
  return v.pipe(v.number(), v.safeInteger(), v.minValue(min), v.maxValue(max));
}

export function text(charsMax: number) {
  return v.pipe(v.string(), v.maxLength(charsMax));
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
