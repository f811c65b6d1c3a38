/**
 * Messages, which are steps and their results, cut into data cells and put together again. The first cell begins with the
 * number of cells and the length of the message; order and completeness are the layers' to keep.
 */
import { concat } from './bytes.ts';
import { CircuitError } from './errors.ts';
import * as limits from './limits.ts';
import { dataCommand } from './messages.ts';

/** cells u16, length u32, big-endian. */
const headBytes = 6;

/** The longest message. */
export const messageBytesMax = limits.messageCellsMax * limits.dataCellBytes - headBytes;

/** @param padded to the next power of two of cells: then the cells say less of a prompt's length */
export function cellsOf(messageBytes: number, padded: boolean): number {
  const cells = Math.ceil((headBytes + messageBytes) / limits.dataCellBytes);
  return padded ? 2 ** Math.ceil(Math.log2(cells)) : cells;
}

/**
 * @returns the content of each cell: the data command and `dataCellBytes` of the message; zeros at the end
 * @throws CircuitError protocol for a message over `messageBytesMax`
 */
export function cutMessage(message: Uint8Array, { padded }: { readonly padded: boolean }): Uint8Array[] {
  if (message.length > messageBytesMax) {
    throw new CircuitError('protocol', `a message of ${message.length} bytes; at most ${messageBytesMax} travel`);
  }
  const cells = cellsOf(message.length, padded);
  const head = new Uint8Array(headBytes);
  const view = new DataView(head.buffer);
  view.setUint16(0, cells);
  view.setUint32(2, message.length);
  const whole = concat(head, message);
  return Array.from({ length: cells }, (_, i) => {
    const content = new Uint8Array(1 + limits.dataCellBytes);
    content[0] = dataCommand;
    content.set(whole.subarray(i * limits.dataCellBytes, (i + 1) * limits.dataCellBytes), 1);
    return content;
  });
}

/** Puts the messages of one direction together. Holds no more than came. */
export class MessageParts {
  #parts: Uint8Array[] = [];
  #cells = 0;
  #bytes = 0;

  /**
   * @param plaintext of one data cell, its command first
   * @returns the message, when this cell was its last
   * @throws CircuitError protocol for a number of cells or a length that cannot be
   */
  push(plaintext: Uint8Array): Uint8Array | undefined {
    const part = plaintext.subarray(1, 1 + limits.dataCellBytes);
    if (this.#parts.length === 0) this.#begin(part);
    this.#parts.push(part);
    if (this.#parts.length < this.#cells) return undefined;
    const message = concat(...this.#parts).subarray(headBytes, headBytes + this.#bytes);
    this.#parts = [];
    return message;
  }

  #begin(part: Uint8Array): void {
    const view = new DataView(part.buffer, part.byteOffset, part.length);
    this.#cells = view.getUint16(0);
    this.#bytes = view.getUint32(2);
    if (this.#cells === 0 || this.#cells > limits.messageCellsMax) {
      throw new CircuitError('protocol', `a message of ${this.#cells} cells`);
    }
    if (headBytes + this.#bytes > this.#cells * limits.dataCellBytes) {
      throw new CircuitError('protocol', `${this.#bytes} bytes in ${this.#cells} cells`);
    }
  }
}
