/**
 * One layer: ChaCha20-Poly1305 (RFC 8439) under a key of one direction, the nonce a counter that both ends keep. A body that
 * was changed, repeated, lost, late or out of order does not open. A body is the tag, then the ciphertext.
 */
import { chacha20, chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { CircuitError } from './errors.ts';
import * as limits from './limits.ts';

const blockBytes = 64;
const zeros = new Uint8Array(limits.plaintextBytes);

/** A key and the number of bodies that were sealed or opened with it. */
export class LayerKey {
  readonly #key: Uint8Array;
  #count = 0;

  /** @param key 32 bytes, used for one direction of one layer and nothing else */
  constructor(key: Uint8Array) {
    this.#key = key;
  }

  /** Seals a plaintext with this count's nonce, and counts on. */
  seal(plaintext: Uint8Array): Uint8Array<ArrayBuffer> {
    const { body, done } = this.preview(plaintext);
    done();
    return body;
  }

  /** Seals with this count's nonce; `done` counts on. Without it nothing has happened: nobody may see two bodies of a count. */
  preview(plaintext: Uint8Array): { readonly body: Uint8Array<ArrayBuffer>; readonly done: () => void } {
    const sealed = chacha20poly1305(this.#key, this.#nonce()).encrypt(plaintext);
    const body = new Uint8Array(sealed.length);
    body.set(sealed.subarray(plaintext.length));
    body.set(sealed.subarray(0, plaintext.length), limits.tagBytes);
    return { body, done: () => void this.#count++ };
  }

  /** @throws CircuitError bad-cell; the count then stays, but the circuit ends */
  open(body: Uint8Array): Uint8Array {
    const sealed = new Uint8Array(body.length);
    sealed.set(body.subarray(limits.tagBytes));
    sealed.set(body.subarray(0, limits.tagBytes), body.length - limits.tagBytes);
    try {
      const plaintext = chacha20poly1305(this.#key, this.#nonce()).decrypt(sealed);
      this.#count++;
      return plaintext;
    } catch (cause) {
      throw new CircuitError('bad-cell', undefined, { cause });
    }
  }

  /**
   * The bytes that this count's ciphertext is XORed with, from `offset` of the plaintext on, XORed with `input`.
   * What comes of it is not authentic.
   */
  cryptFrom(offset: number, input: Uint8Array): Uint8Array {
    // Block 0 is the Poly1305 key (RFC 8439, 2.8).
    const block = Math.floor(offset / blockBytes);
    const skipped = offset - block * blockBytes;
    const aligned = new Uint8Array(skipped + input.length);
    aligned.set(input, skipped);
    return chacha20(this.#key, this.#nonce(), aligned, undefined, 1 + block).subarray(skipped);
  }

  /** Keystream of a key that seals nothing: this count's first bytes, and counts on. */
  fill(bytes: number): Uint8Array {
    const filler = chacha20(this.#key, this.#nonce(), zeros.subarray(0, bytes));
    this.#count++;
    return filler;
  }

  /** The count in 8 of 12 bytes, little-endian: it never comes near 2^53. */
  #nonce(): Uint8Array {
    const nonce = new Uint8Array(12);
    const view = new DataView(nonce.buffer);
    view.setUint32(4, this.#count % 2 ** 32, true);
    view.setUint32(8, Math.floor(this.#count / 2 ** 32), true);
    return nonce;
  }
}
