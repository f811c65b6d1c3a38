/**
 * A peer's X25519 keys for circuit handshakes: a new one every hour, valid for its hour and the next, so that who takes
 * one later reads nothing older. What is announced is this hour's and the previous one.
 */
import { bytesToHex } from '@unfed/protocol';
import { equalBytes, secureRandom, type RandomBytes } from './bytes.ts';
import * as limits from './limits.ts';
import { publicKeyOfSecret } from './ntor.ts';

export interface HopKeysOptions {
  /** ms; only differences count. */
  readonly nowMs: () => number;
  readonly random?: RandomBytes;
}

interface HopKey {
  readonly publicKey: Uint8Array;
  readonly secret: Uint8Array;
  readonly madeMs: number;
  /** Client keys that were used with it, as hex. */
  readonly seen: Set<string>;
}

export class HopKeys {
  readonly #nowMs: () => number;
  readonly #random: RandomBytes;
  #keys: readonly HopKey[];

  constructor({ nowMs, random = secureRandom }: HopKeysOptions) {
    this.#nowMs = nowMs;
    this.#random = random;
    this.#keys = [this.#make()];
  }

  /** For the announcement: this hour's key, and the previous one's where it is still valid. */
  get announced(): Uint8Array[] {
    return this.#valid().map(({ publicKey }) => publicKey.slice());
  }

  /** @returns the secret of a valid key; undefined for any other: stale, or never ours */
  secretOf(publicKey: Uint8Array): Uint8Array | undefined {
    return this.#find(publicKey)?.secret;
  }

  /**
   * Takes note of a handshake.
   * @returns false where this client key came before with this hop key. Of very many the oldest are forgotten: to refuse
   * instead would let anybody close this hop to everybody; a handshake that is replayed gains nothing but our work.
   */
  firstUse(publicKey: Uint8Array, clientKey: Uint8Array): boolean {
    const key = this.#find(publicKey);
    const name = bytesToHex(clientKey);
    if (key === undefined || key.seen.has(name)) return false;
    if (key.seen.size >= limits.handshakesRememberedMax) {
      const [oldest] = key.seen;
      key.seen.delete(oldest);
    }
    key.seen.add(name);
    return true;
  }

  #find(publicKey: Uint8Array): HopKey | undefined {
    return this.#valid().find((key) => equalBytes(key.publicKey, publicKey));
  }

  /** Newest first. A machine that slept makes one key, not one for each hour. */
  #valid(): readonly HopKey[] {
    const nowMs = this.#nowMs();
    const [newest] = this.#keys;
    if (nowMs - newest.madeMs >= limits.hopKeyMs) this.#keys = [this.#make(), newest];
    this.#keys = this.#keys.filter(({ madeMs }) => nowMs - madeMs < 2 * limits.hopKeyMs);
    return this.#keys;
  }

  #make(): HopKey {
    const secret = this.#random(32);
    return { secret, publicKey: publicKeyOfSecret(secret), madeMs: this.#nowMs(), seen: new Set() };
  }
}

/** Keys for a peer that forwards or serves. */
export function createHopKeys(options: HopKeysOptions): HopKeys {
  return new HopKeys(options);
}
