/** What a link of the exchange asks of a model, and tells it: implemented by Download. */
import type { ManifestHash, PeerId } from '@unfed/protocol';
import type { ChunkMap } from './chunk-map.ts';
import type { ByeReason, RejectReason } from './exchange-frames.ts';
import type { Rumour } from './rumours.ts';

/** What a model may do on a link. */
export interface ExchangeLink {
  readonly peer: PeerId;
  /** Asks for a chunk, whole; `received` or `refused` follows, unless it is cancelled or the link ends. */
  fetch(model: ExchangedModel, chunk: number): void;
  cancel(model: ExchangedModel, chunk: number): void;
  /** Tells that we hold a chunk now. */
  announce(model: ExchangedModel, chunk: number): void;
  /** Passes on what was heard of chunks. */
  tell(model: ExchangedModel, rumours: readonly Rumour[]): void;
  /** Looks anew whether the peer has anything that we miss. */
  updateInterest(): void;
  end(reason: ByeReason): void;
}

export interface ExchangedModel {
  readonly manifest: ManifestHash;
  readonly chunks: ChunkMap;
  /** Verified and stored, so that it can be given. */
  gives(chunk: number): boolean;
  /** @returns undefined when it cannot be read after all */
  read(chunk: number): Promise<Uint8Array | undefined>;
  /** Both ends exchange this model now. The peer chokes us at first. */
  met(link: ExchangeLink): void;
  parted(link: ExchangeLink): void;
  /** The peer holds these. */
  gained(link: ExchangeLink, chunks: readonly number[]): void;
  /** The peer passes on what it heard. */
  heard(link: ExchangeLink, rumours: readonly Rumour[]): void;
  /** The peer has said all that it held when both met. */
  told(link: ExchangeLink): void;
  choked(link: ExchangeLink, isChoked: boolean): void;
  isInterestedIn(link: ExchangeLink): boolean;
  /** Some bytes of a chunk came. */
  progressed(link: ExchangeLink, chunk: number, bytes: number): void;
  /** A whole chunk came, unverified; the bytes are the model's now. */
  received(link: ExchangeLink, chunk: number, bytes: Uint8Array<ArrayBuffer>): void;
  refused(link: ExchangeLink, chunk: number, reason: RejectReason): void;
}
