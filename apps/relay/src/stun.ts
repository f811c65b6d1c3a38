/**
 * STUN binding requests and their answers as bytes (RFC 8489): what tells a peer its address as others see it.
 * Only what a server without authentication needs; everything else is not answered at all.
 */
import { isIPv4 } from 'node:net';
import { crc32 } from 'node:zlib';
import * as limits from './limits.ts';

const headerBytes = 20;
const magicCookie = 0x2112a442;
const fingerprintMask = 0x5354554e;

const bindingRequest = 0x0001;
const bindingSuccess = 0x0101;
const bindingError = 0x0111;

const attribute = { errorCode: 0x0009, unknown: 0x000a, xorMappedAddress: 0x0020, fingerprint: 0x8028 } as const;

/**
 * Comprehension-required attributes that a request may carry: of short- and long-term credentials, which this server
 * does not ask for, and of ICE checks (priority, use-candidate).
 */
const understood = new Set([0x0006, 0x0008, 0x0014, 0x0015, 0x001c, 0x001d, 0x001e, 0x0024, 0x0025]);

export interface BindingRequest {
  /** Cookie and transaction id: bytes 4 to 20 of the request. */
  readonly transaction: Uint8Array;
  readonly fingerprint: boolean;
  /** Comprehension-required attributes that this server does not know. */
  readonly unknown: readonly number[];
}

/** @returns undefined for everything that is not one whole binding request; never throws */
export function decodeBindingRequest(bytes: Uint8Array): BindingRequest | undefined {
  if (bytes.byteLength < headerBytes || bytes.byteLength > limits.stunRequestBytesMax) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint16(0) !== bindingRequest || view.getUint32(4) !== magicCookie) return undefined;
  if (bytes.byteLength % 4 !== 0 || view.getUint16(2) !== bytes.byteLength - headerBytes) return undefined;
  const unknown: number[] = [];
  let fingerprint = false;
  for (let at = headerBytes; at < bytes.byteLength;) {
    // The fingerprint stands last: RFC 8489, 14.7.
    if (fingerprint) return undefined;
    const kind = view.getUint16(at);
    const length = view.getUint16(at + 2);
    const next = at + 4 + Math.ceil(length / 4) * 4;
    if (next > bytes.byteLength) return undefined;
    if (kind === attribute.fingerprint) {
      if (length !== 4 || view.getUint32(at + 4) !== fingerprintOf(bytes.subarray(0, at))) return undefined;
      fingerprint = true;
    } else if (kind < 0x8000 && !understood.has(kind)) {
      unknown.push(kind);
    }
    at = next;
  }
  return { transaction: bytes.slice(4, headerBytes), fingerprint, unknown };
}

/** @param from where the request came from; the answer says so, XORed so that no box on the way rewrites it */
export function encodeBindingAnswer(request: BindingRequest, from: { address: string; port: number }): Uint8Array {
  if (request.unknown.length > 0) return encodeUnknownAttributes(request);
  const address = addressBytes(from.address);
  const value = new Uint8Array(4 + address.length);
  value[1] = address.length === 4 ? 1 : 2;
  value[2] = (from.port >>> 8) ^ (request.transaction[0] ?? 0);
  value[3] = (from.port & 0xff) ^ (request.transaction[1] ?? 0);
  address.forEach((byte, i) => (value[4 + i] = byte ^ (request.transaction[i] ?? 0)));
  return encode(bindingSuccess, request, [[attribute.xorMappedAddress, value]]);
}

/** RFC 8489, 6.3.1: error 420 names what was not understood. */
function encodeUnknownAttributes(request: BindingRequest): Uint8Array {
  const reason = new TextEncoder().encode('Unknown Attribute');
  const error = new Uint8Array(4 + reason.length);
  error.set([0, 0, 4, 20]);
  error.set(reason, 4);
  const kinds = new Uint8Array(2 * request.unknown.length);
  request.unknown.forEach((kind, i) => kinds.set([kind >>> 8, kind & 0xff], 2 * i));
  return encode(bindingError, request, [
    [attribute.errorCode, error],
    [attribute.unknown, kinds],
  ]);
}

function encode(
  type: number,
  request: BindingRequest,
  attributes: readonly (readonly [number, Uint8Array])[],
): Uint8Array {
  const padded = (length: number): number => Math.ceil(length / 4) * 4;
  const bodyBytes = attributes.reduce((sum, [, value]) => sum + 4 + padded(value.length), 0);
  const totalBytes = headerBytes + bodyBytes + (request.fingerprint ? 8 : 0);
  const bytes = new Uint8Array(totalBytes);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, type);
  view.setUint16(2, totalBytes - headerBytes);
  bytes.set(request.transaction, 4);
  let at = headerBytes;
  for (const [kind, value] of attributes) {
    view.setUint16(at, kind);
    view.setUint16(at + 2, value.length);
    bytes.set(value, at + 4);
    at += 4 + padded(value.length);
  }
  if (request.fingerprint) {
    view.setUint16(at, attribute.fingerprint);
    view.setUint16(at + 2, 4);
    view.setUint32(at + 4, fingerprintOf(bytes.subarray(0, at)));
  }
  return bytes;
}

function fingerprintOf(before: Uint8Array): number {
  return (crc32(before) ^ fingerprintMask) >>> 0;
}

/** @param address as Node's sockets give it */
function addressBytes(address: string): Uint8Array {
  const plain = address.replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/i, '');
  if (isIPv4(plain)) return Uint8Array.from(plain.split('.'), Number);
  const [head = '', tail = ''] = plain.split('::');
  const groups = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const [before, after] = [groups(head), groups(tail)];
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  before.forEach((group, i) => view.setUint16(2 * i, group));
  after.forEach((group, i) => view.setUint16(16 - 2 * (after.length - i), group));
  return bytes;
}
