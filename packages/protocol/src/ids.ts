/** Branded identifiers, so that one kind of string cannot stand where another is meant. */
import { InvalidValueError } from './errors.ts';

export type Brand<T, B extends string> = T & { readonly __brand: B };

/** SHA-256 of a manifest's bytes, 64 lowercase hex digits: the name of a model pool. */
export type ManifestHash = Brand<string, 'ManifestHash'>;

/** `embedding`, `head`, or `layer-N` with N from 0. */
export type ShardId = Brand<string, 'ShardId'>;

/** 16 random bytes as 32 lowercase hex digits. */
export type SessionId = Brand<string, 'SessionId'>;

/** A run of consecutive layers `[first, last)`. */
export interface Span {
  readonly first: number;
  readonly last: number;
}

export function manifestHash(text: string): ManifestHash {
  if (!/^[0-9a-f]{64}$/.test(text)) {
    throw new InvalidValueError('manifest hash', '64 lowercase hex digits', text.slice(0, 80));
  }
  return text as ManifestHash;
}

export function sessionId(text: string): SessionId {
  if (!/^[0-9a-f]{32}$/.test(text)) {
    throw new InvalidValueError('session id', '32 lowercase hex digits', text.slice(0, 80));
  }
  return text as SessionId;
}

export function randomSessionId(): SessionId {
  return bytesToHex(crypto.getRandomValues(new Uint8Array(16))) as SessionId;
}

export const embeddingShard = 'embedding' as ShardId;
export const headShard = 'head' as ShardId;

export function layerShard(layer: number): ShardId {
  if (!Number.isSafeInteger(layer) || layer < 0) {
    throw new InvalidValueError('layer', 'a whole number from 0', String(layer));
  }
  return `layer-${layer}` as ShardId;
}

/** The shards that serve a span, in order. */
export function spanShards(span: Span): ShardId[] {
  return Array.from({ length: span.last - span.first }, (_, i) => layerShard(span.first + i));
}

/** `4–5` for [4, 6), `4` for [4, 5): layers as people read them, both ends included. */
export function spanText(span: Span): string {
  return span.last - span.first === 1 ? `${span.first}` : `${span.first}–${span.last - 1}`;
}

export function bytesToHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}

/** @throws InvalidValueError for odd lengths and anything but lowercase hex digits */
export function hexToBytes(text: string): Uint8Array<ArrayBuffer> {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/.test(text)) {
    throw new InvalidValueError('hex', 'an even number of lowercase hex digits', text.slice(0, 80));
  }
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}
