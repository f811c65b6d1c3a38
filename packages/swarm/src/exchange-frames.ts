/**
 * The frames of `/unfed/swarm/1` (SPEC.md, X rules): a kind, then fixed fields, little-endian. A slot is the sender's own
 * number of a model on this link, which its `hello` gave; a shard is its place in the manifest's list.
 */
import { bytesToHex, DecodeError, hexToBytes, limits as protocolLimits, type ManifestHash } from '@unfed/protocol';
import * as limits from './limits.ts';

export type RejectReason = 'choked' | 'not-held' | 'too-many' | 'outside' | 'unknown-model' | 'unreadable';
export type ByeReason = 'stopped' | 'bad-bytes' | 'bad-frame' | 'flood' | 'silent' | 'not-needed';

export interface ShardChunk {
  readonly shard: number;
  readonly chunk: number;
}

/** `bytes` of a chunk from `offset` on. */
export interface ChunkRequest extends ShardChunk {
  readonly id: number;
  readonly slot: number;
  readonly offset: number;
  readonly bytes: number;
}

/** What the peer heard of a chunk: see Rumour. */
export interface HeardChunk extends ShardChunk {
  readonly round: number;
}

/** The manifest itself, or its publisher's signature. */
export type ManifestPiece = 'manifest' | 'signature';

/** What the peer has of it from `offset` on. */
export interface ManifestAsk {
  readonly manifest: ManifestHash;
  readonly piece: ManifestPiece;
  readonly offset: number;
}

/** The answer; all 0 where it is not given. */
export interface ManifestPart {
  readonly offset: number;
  readonly totalBytes: number;
  readonly bytes: Uint8Array;
}

export type ExchangeFrame =
  | { readonly kind: 'hello'; readonly slot: number; readonly manifest: ManifestHash }
  | { readonly kind: 'have'; readonly slot: number; readonly shard: number; readonly bitmap: Uint8Array }
  | { readonly kind: 'gained'; readonly slot: number; readonly chunks: readonly ShardChunk[] }
  | { readonly kind: 'heard'; readonly slot: number; readonly chunks: readonly HeardChunk[] }
  | ({ readonly kind: 'request' } & ChunkRequest)
  /** `offset` counts from the beginning of the chunk. */
  | { readonly kind: 'part'; readonly id: number; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'cancel'; readonly id: number }
  | { readonly kind: 'choke' | 'unchoke' | 'interested' | 'uninterested' }
  | { readonly kind: 'reject'; readonly id: number; readonly reason: RejectReason }
  | { readonly kind: 'bye'; readonly reason: ByeReason }
  | ({ readonly kind: 'ask-manifest' } & ManifestAsk)
  | ({ readonly kind: 'manifest-part' } & ManifestPart);

const kinds = [
  'hello',
  'have',
  'gained',
  'request',
  'part',
  'cancel',
  'choke',
  'unchoke',
  'interested',
  'uninterested',
  'reject',
  'bye',
  'ask-manifest',
  'manifest-part',
  'heard',
] as const satisfies readonly ExchangeFrame['kind'][];
const rejectReasons: readonly RejectReason[] = [
  'choked',
  'not-held',
  'too-many',
  'outside',
  'unknown-model',
  'unreadable',
];
const manifestPieces: readonly ManifestPiece[] = ['manifest', 'signature'];
const byeReasons: readonly ByeReason[] = ['stopped', 'bad-bytes', 'bad-frame', 'flood', 'silent', 'not-needed'];

export const partHeaderBytes = 9;
const bitmapBytesMax = protocolLimits.shardBytesMax / protocolLimits.chunkBytes / 8;

export function encodeExchangeFrame(frame: ExchangeFrame): Uint8Array<ArrayBuffer> {
  const writer = new FrameWriter(frameBytes(frame));
  writer.u8(kinds.indexOf(frame.kind) + 1);
  switch (frame.kind) {
    case 'hello':
      writer.u8(frame.slot);
      writer.bytes(hexToBytes(frame.manifest));
      break;
    case 'have':
      writer.u8(frame.slot);
      writer.u16(frame.shard);
      writer.bytes(frame.bitmap);
      break;
    case 'gained':
      writer.u8(frame.slot);
      for (const { shard, chunk } of frame.chunks) {
        writer.u16(shard);
        writer.u16(chunk);
      }
      break;
    case 'heard':
      writer.u8(frame.slot);
      for (const { shard, chunk, round } of frame.chunks) {
        writer.u8(round);
        writer.u16(shard);
        writer.u16(chunk);
      }
      break;
    case 'request':
      writer.u32(frame.id);
      writer.u8(frame.slot);
      writer.u16(frame.shard);
      writer.u16(frame.chunk);
      writer.u32(frame.offset);
      writer.u32(frame.bytes);
      break;
    case 'part':
      writer.u32(frame.id);
      writer.u32(frame.offset);
      writer.bytes(frame.bytes);
      break;
    case 'cancel':
      writer.u32(frame.id);
      break;
    case 'reject':
      writer.u32(frame.id);
      writer.u8(rejectReasons.indexOf(frame.reason) + 1);
      break;
    case 'bye':
      writer.u8(byeReasons.indexOf(frame.reason) + 1);
      break;
    case 'ask-manifest':
      writer.bytes(hexToBytes(frame.manifest));
      writer.u8(manifestPieces.indexOf(frame.piece) + 1);
      writer.u32(frame.offset);
      break;
    case 'manifest-part':
      writer.u32(frame.offset);
      writer.u32(frame.totalBytes);
      writer.bytes(frame.bytes);
      break;
    case 'choke':
    case 'unchoke':
    case 'interested':
    case 'uninterested':
      break;
  }
  return writer.frame;
}

function frameBytes(frame: ExchangeFrame): number {
  switch (frame.kind) {
    case 'hello':
      return 34;
    case 'have':
      return 4 + frame.bitmap.byteLength;
    case 'gained':
      return 2 + 4 * frame.chunks.length;
    case 'heard':
      return 2 + 5 * frame.chunks.length;
    case 'request':
      return 18;
    case 'part':
      return partHeaderBytes + frame.bytes.byteLength;
    case 'cancel':
      return 5;
    case 'reject':
      return 6;
    case 'bye':
      return 2;
    case 'ask-manifest':
      return 38;
    case 'manifest-part':
      return 9 + frame.bytes.byteLength;
    default:
      return 1;
  }
}

/**
 * Whatever needs the manifest, such as whether a shard exists or a bitmap has its size, is the caller's to check.
 * @returns views of the frame where bytes are large @throws DecodeError
 */
export function decodeExchangeFrame(frame: Uint8Array): ExchangeFrame {
  if (frame.byteLength > protocolLimits.swarmFrameBytesMax) {
    throw new DecodeError(
      'swarm frame',
      `at most ${protocolLimits.swarmFrameBytesMax} bytes`,
      `${frame.byteLength} bytes`,
    );
  }
  const kind = kinds[(frame[0] ?? 0) - 1];
  if (kind === undefined) {
    const came = frame.byteLength === 0 ? 'an empty frame' : `kind ${frame[0]}`;
    throw new DecodeError('swarm frame', `a kind of 1 to ${kinds.length}`, came);
  }
  const reader = new FrameReader(frame, kind);
  const decoded = decodeBody(kind, reader);
  reader.end();
  return decoded;
}

function decodeBody(kind: ExchangeFrame['kind'], reader: FrameReader): ExchangeFrame {
  switch (kind) {
    case 'hello':
      return { kind, slot: reader.slot(), manifest: reader.manifest() };
    case 'have':
      return { kind, slot: reader.slot(), shard: reader.u16(), bitmap: reader.rest(bitmapBytesMax) };
    case 'gained':
      return { kind, slot: reader.slot(), chunks: reader.chunks() };
    case 'heard':
      return { kind, slot: reader.slot(), chunks: reader.heardChunks() };
    case 'request':
      return decodeRequest(reader);
    case 'part':
      return { kind, id: reader.u32(), offset: reader.u32(), bytes: reader.rest(limits.partBytesMax) };
    case 'cancel':
      return { kind, id: reader.u32() };
    case 'reject':
      return { kind, id: reader.u32(), reason: reader.oneOf(rejectReasons) };
    case 'bye':
      return { kind, reason: reader.oneOf(byeReasons) };
    case 'ask-manifest':
      return { kind, manifest: reader.manifest(), piece: reader.oneOf(manifestPieces), offset: reader.u32() };
    case 'manifest-part':
      return { kind, offset: reader.u32(), totalBytes: reader.u32(), bytes: reader.rest(limits.partBytesMax, 0) };
    default:
      return { kind };
  }
}

function decodeRequest(reader: FrameReader): ExchangeFrame {
  const id = reader.u32();
  const slot = reader.slot();
  const [shard, chunk] = [reader.u16(), reader.u16()];
  const [offset, bytes] = [reader.u32(), reader.u32()];
  if (bytes === 0 || offset + bytes > protocolLimits.chunkBytes) {
    throw new DecodeError('request frame', 'bytes within one chunk', `${bytes} bytes from ${offset} on`);
  }
  return { kind: 'request', id, slot, shard, chunk, offset, bytes };
}

class FrameWriter {
  readonly frame: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: number) {
    this.frame = new Uint8Array(bytes);
    this.#view = new DataView(this.frame.buffer);
  }

  u8(value: number): void {
    this.#view.setUint8(this.#at, value);
    this.#at += 1;
  }

  u16(value: number): void {
    this.#view.setUint16(this.#at, value, true);
    this.#at += 2;
  }

  u32(value: number): void {
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
  }

  bytes(value: Uint8Array): void {
    this.frame.set(value, this.#at);
    this.#at += value.byteLength;
  }
}

/** Reads fields one after the other. Every method throws DecodeError where the frame is too short. */
class FrameReader {
  readonly #frame: Uint8Array;
  readonly #view: DataView;
  readonly #what: string;
  #at = 1;

  constructor(frame: Uint8Array, kind: string) {
    this.#frame = frame;
    this.#view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    this.#what = `${kind} frame`;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  bytes(count: number): Uint8Array {
    const start = this.#take(count);
    return this.#frame.subarray(start, start + count);
  }

  manifest(): ManifestHash {
    return bytesToHex(this.bytes(32)) as ManifestHash;
  }

  slot(): number {
    const slot = this.u8();
    if (slot >= limits.slotsMax) throw new DecodeError(this.#what, `a slot of 0 to ${limits.slotsMax - 1}`, `${slot}`);
    return slot;
  }

  oneOf<T>(values: readonly T[]): T {
    const number = this.u8();
    const value = values[number - 1];
    if (value === undefined) throw new DecodeError(this.#what, `a number of 1 to ${values.length}`, `${number}`);
    return value;
  }

  /** What is left. */
  rest(bytesMax: number, bytesMin = 1): Uint8Array {
    const left = this.#frame.byteLength - this.#at;
    if (left < bytesMin || left > bytesMax) {
      throw new DecodeError(this.#what, `${bytesMin} to ${bytesMax} bytes of it`, `${left}`);
    }
    return this.bytes(left);
  }

  chunks(): ShardChunk[] {
    return Array.from({ length: this.#countOf(4) }, () => ({ shard: this.u16(), chunk: this.u16() }));
  }

  heardChunks(): HeardChunk[] {
    return Array.from({ length: this.#countOf(5) }, () => {
      const round = this.u8();
      if (round === 0 || round > limits.rumourRoundsMax) {
        throw new DecodeError(this.#what, `a round of 1 to ${limits.rumourRoundsMax}`, `${round}`);
      }
      return { round, shard: this.u16(), chunk: this.u16() };
    });
  }

  /** Of the chunks that are left, each of so many bytes. */
  #countOf(bytesEach: number): number {
    const left = this.#frame.byteLength - this.#at;
    if (left === 0 || left % bytesEach !== 0 || left / bytesEach > limits.gainedChunksMax) {
      const expected = `1 to ${limits.gainedChunksMax} chunks of ${bytesEach} bytes`;
      throw new DecodeError(this.#what, expected, `${left} bytes`);
    }
    return left / bytesEach;
  }

  end(): void {
    const left = this.#frame.byteLength - this.#at;
    if (left > 0) throw new DecodeError(this.#what, 'no bytes behind it', `${left}`);
  }

  #take(count: number): number {
    const start = this.#at;
    if (start + count > this.#frame.byteLength) {
      throw new DecodeError(this.#what, `${start + count} bytes or more`, `${this.#frame.byteLength} bytes`);
    }
    this.#at += count;
    return start;
  }
}
