/** Which chunks of a shard somebody holds: one bit each, chunk 0 in the lowest bit of the first byte. */
import { DecodeError, InvalidValueError } from '@unfed/protocol';

export class Bitmap {
  /** Chunks of the shard. */
  readonly length: number;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #count = 0;

  /** @param length at least 0; every bit is clear */
  constructor(length: number) {
    if (!Number.isSafeInteger(length) || length < 0) {
      throw new InvalidValueError('bitmap length', 'a whole number from 0', String(length));
    }
    this.length = length;
    this.#bytes = new Uint8Array(Math.ceil(length / 8));
  }

  /** Every bit set. */
  static full(length: number): Bitmap {
    const bitmap = new Bitmap(length);
    for (let index = 0; index < length; index++) bitmap.add(index);
    return bitmap;
  }

  /** @throws DecodeError unless the bytes are exactly those of `length` bits, the spare ones of the last byte clear */
  static from(bytes: Uint8Array, length: number): Bitmap {
    const bitmap = new Bitmap(length);
    if (bytes.byteLength !== bitmap.#bytes.byteLength) {
      throw new DecodeError(
        'bitmap',
        `${bitmap.#bytes.byteLength} bytes for ${length} chunks`,
        `${bytes.byteLength} bytes`,
      );
    }
    const spare = length % 8;
    const last = bytes.at(-1) ?? 0;
    if (spare !== 0 && last >> spare !== 0) {
      throw new DecodeError('bitmap', `bits for ${length} chunks alone`, 'bits behind the last chunk');
    }
    bitmap.#bytes.set(bytes);
    for (const byte of bytes) for (let rest = byte; rest !== 0; rest &= rest - 1) bitmap.#count++;
    return bitmap;
  }

  /** How many bits are set. */
  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count === this.length;
  }

  has(index: number): boolean {
    return ((this.#bytes[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
  }

  /** @returns whether the bit was clear @throws InvalidValueError outside the shard */
  add(index: number): boolean {
    this.#check(index);
    if (this.has(index)) return false;
    this.#bytes[index >> 3] = (this.#bytes[index >> 3] ?? 0) | (1 << (index & 7));
    this.#count++;
    return true;
  }

  /** @returns whether the bit was set @throws InvalidValueError outside the shard */
  delete(index: number): boolean {
    this.#check(index);
    if (!this.has(index)) return false;
    this.#bytes[index >> 3] = (this.#bytes[index >> 3] ?? 0) & ~(1 << (index & 7));
    this.#count--;
    return true;
  }

  /** The set ones, in order. */
  *indexes(): Generator<number, void, void> {
    for (let index = 0; index < this.length; index++) if (this.has(index)) yield index;
  }

  /** A copy of the bytes, as they travel. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice();
  }

  copy(): Bitmap {
    return Bitmap.from(this.#bytes, this.length);
  }

  #check(index: number): void {
    if (Number.isSafeInteger(index) && index >= 0 && index < this.length) return;
    throw new InvalidValueError('chunk', `0 to ${this.length - 1}`, String(index));
  }
}
