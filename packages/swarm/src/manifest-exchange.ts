/**
 * Manifests and their signatures between two peers, by the manifest's hash (SPEC.md, F rules): what a peer needs before it
 * can ask for chunks, where no seed answers. One ask at a time each way, as in the metadata exchange of BEP 9.
 */
import { DecodeError, limits as protocolLimits, manifestSignatureBytes, type ManifestHash } from '@unfed/protocol';
import type { ManifestAsk, ManifestPart, ManifestPiece } from './exchange-frames.ts';
import * as limits from './limits.ts';
import type { SwarmClock } from './swarm-clock.ts';
import type { TokenBucket } from './token-bucket.ts';

/** @returns what is held of a model that is exchanged here */
export type ReadManifest = (manifest: ManifestHash, piece: ManifestPiece) => Promise<Uint8Array | undefined>;

export interface ManifestExchangeParts {
  readonly clock: SwarmClock;
  readonly ask: (ask: ManifestAsk) => void;
  readonly give: (part: ManifestPart) => Promise<void>;
  readonly read: ReadManifest;
  /** Shared by all links. */
  readonly upload: TokenBucket;
}

const bytesMaxOf: Readonly<Record<ManifestPiece, number>> = {
  manifest: protocolLimits.manifestBytesMax,
  signature: manifestSignatureBytes,
};

interface Asked {
  readonly offset: number;
  readonly bytesMax: number;
  /** As the first part said. */
  readonly totalBytes: number | undefined;
  readonly resolve: (part: ManifestPart | undefined) => void;
}

export class ManifestExchange {
  readonly #parts: ManifestExchangeParts;
  readonly #abort = new AbortController();
  #asked: Asked | undefined;
  #isGiving = false;
  /** Read for this peer, and sent to it. */
  #bytesSpent = 0;
  /** What the peer is reading, so that it is read once for all its parts. */
  #given: { readonly key: string; readonly bytes: Uint8Array } | undefined;

  constructor(parts: ManifestExchangeParts) {
    this.#parts = parts;
  }

  /** Nothing is under way, not even what somebody gave up waiting for. */
  get isFree(): boolean {
    return this.#asked === undefined && !this.#abort.signal.aborted;
  }

  /**
   * @returns the whole of it, unverified; undefined when the peer does not give it, is silent, or leaves
   * @throws the signal's reason
   */
  async fetch(manifest: ManifestHash, piece: ManifestPiece, signal: AbortSignal): Promise<Uint8Array | undefined> {
    let bytes: Uint8Array | undefined;
    let offset = 0;
    do {
      signal.throwIfAborted();
      const part = await this.#ask({ manifest, piece, offset }, bytes?.byteLength, signal);
      if (part === undefined || part.totalBytes === 0) return undefined;
      bytes ??= new Uint8Array(part.totalBytes);
      bytes.set(part.bytes, offset);
      offset += part.bytes.byteLength;
    } while (offset < bytes.byteLength);
    return bytes;
  }

  /** @throws DecodeError for what was not asked for, and for a part that is not the next one whole */
  take(part: ManifestPart): void {
    const asked = this.#asked;
    if (asked === undefined) throw new DecodeError('manifest-part frame', 'a part that was asked for', 'another');
    const { offset, totalBytes, bytes } = part;
    const isRefusal = totalBytes === 0 && bytes.byteLength === 0;
    if (!isRefusal) {
      const isTotal = totalBytes === (asked.totalBytes ?? totalBytes) && totalBytes <= asked.bytesMax;
      const bytesExpected = Math.min(limits.partBytesMax, totalBytes - asked.offset);
      if (!isTotal || offset !== asked.offset || bytes.byteLength !== bytesExpected) {
        const came = `${bytes.byteLength} from ${offset} on of ${totalBytes}`;
        throw new DecodeError('manifest-part frame', `the bytes from ${asked.offset} on of ${asked.bytesMax}`, came);
      }
    }
    this.#asked = undefined;
    asked.resolve({ ...part, bytes: bytes.slice() });
  }

  /** Answers the peer. @throws DecodeError for an ask beside another one */
  answer(ask: ManifestAsk): void {
    if (this.#isGiving) throw new DecodeError('ask-manifest frame', 'one at a time', 'a second one');
    this.#isGiving = true;
    // The link ended: whoever listens to its end hears of that.
    this.#give(ask).catch(() => undefined);
  }

  stop(): void {
    this.#abort.abort(new Error('the link ended'));
  }

  /** What comes after it was given up is still the answer to this ask, and dropped. */
  async #ask(ask: ManifestAsk, totalBytes: number | undefined, signal: AbortSignal): Promise<ManifestPart | undefined> {
    if (!this.isFree) return undefined;
    const part = new Promise<ManifestPart | undefined>((resolve) => {
      this.#asked = { offset: ask.offset, bytesMax: bytesMaxOf[ask.piece], totalBytes, resolve };
    });
    const giveUp = (): void => this.#asked?.resolve(undefined);
    const cancel = this.#parts.clock.after(limits.peerStallMs, giveUp);
    signal.addEventListener('abort', giveUp);
    this.#abort.signal.addEventListener('abort', giveUp);
    this.#parts.ask(ask);
    try {
      return await part;
    } finally {
      cancel();
      signal.removeEventListener('abort', giveUp);
      this.#abort.signal.removeEventListener('abort', giveUp);
    }
  }

  async #give({ manifest, piece, offset }: ManifestAsk): Promise<void> {
    const whole = await this.#read(manifest, piece);
    const bytes = whole.subarray(offset, offset + limits.partBytesMax);
    this.#bytesSpent += bytes.byteLength;
    await this.#parts.upload.take(bytes.byteLength, this.#abort.signal);
    this.#isGiving = false;
    const totalBytes = bytes.byteLength === 0 ? 0 : whole.byteLength;
    await this.#parts.give({ offset, totalBytes, bytes });
  }

  /** @returns no bytes for what is not given */
  async #read(manifest: ManifestHash, piece: ManifestPiece): Promise<Uint8Array> {
    const nothing = new Uint8Array();
    if (this.#bytesSpent >= limits.manifestBytesSpentMax) return nothing;
    const key = `${manifest} ${piece}`;
    if (this.#given?.key === key) return this.#given.bytes;
    const bytes = await this.#parts.read(manifest, piece).catch(() => undefined);
    if (bytes === undefined) return nothing;
    this.#given = { key, bytes };
    this.#bytesSpent += bytes.byteLength;
    return bytes;
  }
}
