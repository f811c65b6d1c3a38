/**
 * Frames on a stream of bytes (SPEC.md, F rules): a little-endian u32, then what it announces. A word below 2^31 is the
 * length of the frame that follows; above, it is a word of control and nothing follows: credit, or goodbye.
 */
import { DecodeError } from '@unfed/protocol';

export const headerBytes = 4;
const controlBit = 0x8000_0000;
const goodbyeWord = 0xffff_ffff;
export const creditBytesMax = 0x7fff_fffe;

export type FrameWord = { readonly kind: 'credit'; readonly bytes: number } | { readonly kind: 'goodbye' };

/** @param bytes 1 to 2^31 − 2 further bytes, headers included, that the other end may send */
export function encodeCredit(bytes: number): Uint8Array<ArrayBuffer> {
  return word(controlBit + bytes);
}

export function encodeGoodbye(): Uint8Array<ArrayBuffer> {
  return word(goodbyeWord);
}

/**
 * The frame with its header as messages of at most `messageBytes`, each in parts that are views: nothing is copied. The
 * header of a small frame travels with its payload.
 */
export function* encodeMessages(frame: Uint8Array, messageBytes: number): Generator<readonly Uint8Array[]> {
  const inFirst = Math.min(frame.byteLength, messageBytes - headerBytes);
  yield [word(frame.byteLength), frame.subarray(0, inFirst)];
  for (let start = inFirst; start < frame.byteLength; start += messageBytes) {
    yield [frame.subarray(start, start + messageBytes)];
  }
}

export interface FrameSink {
  frame(frame: Uint8Array): void;
  word(word: FrameWord): void;
}

/** Gives whole frames whatever the pieces are. A frame within one piece is a view of it; others are assembled once. */
export class FrameDecoder {
  readonly #sink: FrameSink;
  readonly #frameBytesMax: number;
  readonly #header = new Uint8Array(headerBytes);
  #headerFilled = 0;
  /** The frame being assembled, and how much of it is there. */
  #partial: Uint8Array<ArrayBuffer> | undefined;
  #partialFilled = 0;

  constructor(frameBytesMax: number, sink: FrameSink) {
    this.#frameBytesMax = frameBytesMax;
    this.#sink = sink;
  }

  /** @throws DecodeError for a length over the limit; the stream cannot be read further */
  push(piece: Uint8Array): void {
    let at = 0;
    while (at < piece.byteLength) {
      if (this.#partial !== undefined) {
        at = this.#assemble(this.#partial, piece, at);
        continue;
      }
      const header = this.#takeHeader(piece, at);
      at = header.next;
      if (header.word !== undefined) at = this.#begin(header.word, piece, at);
    }
  }

  #takeHeader(piece: Uint8Array, at: number): { next: number; word?: number } {
    const take = Math.min(headerBytes - this.#headerFilled, piece.byteLength - at);
    this.#header.set(piece.subarray(at, at + take), this.#headerFilled);
    this.#headerFilled += take;
    if (this.#headerFilled < headerBytes) return { next: at + take };
    this.#headerFilled = 0;
    return { next: at + take, word: new DataView(this.#header.buffer).getUint32(0, true) };
  }

  #begin(word: number, piece: Uint8Array, at: number): number {
    if (word >= controlBit) {
      this.#sink.word(word === goodbyeWord ? { kind: 'goodbye' } : { kind: 'credit', bytes: word - controlBit });
      return at;
    }
    if (word > this.#frameBytesMax) {
      throw new DecodeError('frame', `at most ${this.#frameBytesMax} bytes`, `${word} bytes`);
    }
    if (piece.byteLength - at >= word) {
      this.#sink.frame(piece.subarray(at, at + word));
      return at + word;
    }
    this.#partial = new Uint8Array(word);
    this.#partialFilled = 0;
    return at;
  }

  #assemble(partial: Uint8Array<ArrayBuffer>, piece: Uint8Array, at: number): number {
    const take = Math.min(partial.byteLength - this.#partialFilled, piece.byteLength - at);
    partial.set(piece.subarray(at, at + take), this.#partialFilled);
    this.#partialFilled += take;
    if (this.#partialFilled === partial.byteLength) {
      this.#partial = undefined;
      this.#sink.frame(partial);
    }
    return at + take;
  }
}

function word(value: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(headerBytes);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
