/**
 * Where one model's chunks come from: the peers that are linked for it and the origin, which of them is asked for what
 * now, and what they were seen to give. Every chunk that leaves here is verified.
 */
import { asError, type PeerId } from '@unfed/protocol';
import type { ChunkMap } from './chunk-map.ts';
import type { DownloadParts } from './download-parts.ts';
import { noSource } from './errors.ts';
import type { RejectReason } from './exchange-frames.ts';
import type { ExchangedModel, ExchangeLink } from './exchanged-model.ts';
import * as limits from './limits.ts';
import { Origin } from './origin.ts';
import type { Picker } from './picker.ts';
import { RateMeter } from './rate-meter.ts';
import type { Rumour } from './rumours.ts';
import { checkSha256 } from './sha256.ts';

/** What the picker calls the origin. */
const originId = 'origin';

export interface ChunkSourcesParts extends DownloadParts {
  /** By which links know whose chunk they are asked for. */
  readonly model: ExchangedModel;
  readonly chunks: ChunkMap;
  /** Knows what is wanted and what is here; sources are added and asked by it here alone. */
  readonly picker: Picker;
  /** There is memory for more verified chunks. */
  readonly mayTakeMore: () => boolean;
  readonly onVerified: (chunk: number, bytes: Uint8Array<ArrayBuffer>) => void;
  /** Sources came, went or failed: what is waited for may have become hopeless. */
  readonly onLook: () => void;
}

export class ChunkSources {
  readonly #parts: ChunkSourcesParts;
  readonly #picker: Picker;
  readonly #origin: Origin | undefined;
  readonly #links = new Map<string, ExchangeLink>();
  readonly #told = new Set<PeerId>();
  readonly #rate = new RateMeter();
  #bytesFromPeers = 0;
  #isPaused = false;
  #isStopped = false;
  #wantedSinceMs = 0;
  #cancelTick: (() => void) | undefined;
  #cancelTell: (() => void) | undefined;

  constructor(parts: ChunkSourcesParts) {
    this.#parts = parts;
    this.#picker = parts.picker;
    const { seed, hash, clock } = parts;
    const onBytes = (chunk: number, bytes: number): void => this.#count(originId, chunk, bytes);
    this.#origin = seed === undefined ? undefined : new Origin({ seed, hash, clock }, onBytes);
    if (this.#origin !== undefined) this.#picker.add(originId, 'origin');
  }

  // What it shows.

  get isPaused(): boolean {
    return this.#isPaused;
  }

  get peers(): number {
    return this.#links.size;
  }

  /** Peers that are sending now. */
  get peersGiving(): number {
    return [...this.#links.keys()].filter((id) => this.#picker.askedOf(id).length > 0).length;
  }

  get isOriginGiving(): boolean {
    return this.#isMoving && this.#origin?.isGiving === true;
  }

  get bytesPerSecond(): number {
    return this.#isMoving ? this.#rate.bytesPerSecond(this.#parts.clock.now()) : 0;
  }

  get bytesFromPeers(): number {
    return this.#bytesFromPeers;
  }

  get bytesFromOrigin(): number {
    return this.#origin?.bytes ?? 0;
  }

  get #isMoving(): boolean {
    return !this.#isPaused && this.#picker.missingCount > 0;
  }

  /** The peer has said what it holds. */
  knows(peer: PeerId): boolean {
    return this.#told.has(peer);
  }

  /** Somebody has it, as far as is known. */
  isOffered(chunk: number): boolean {
    return this.#picker.copiesOf(chunk) > 0 || this.#originLoss === undefined;
  }

  /** Why some of these chunks cannot be had now; undefined while they are here, or may yet come. */
  lossOf(range: { first: number; last: number }): Error | undefined {
    if (this.#picker.missingCount === 0 || this.#parts.arePeersExpected()) return undefined;
    const gone = this.#originLoss;
    const isLost = (chunk: number): boolean => !this.#picker.holds(chunk) && this.#picker.copiesOf(chunk) === 0;
    return gone !== undefined && this.#parts.chunks.bytesWhere(range, isLost) > 0 ? gone : undefined;
  }

  /** Why the origin is not asked any more. */
  get #originLoss(): Error | undefined {
    if (this.#origin === undefined) return noSource(this.#parts.hash);
    return this.#origin.givenUp ?? (this.#picker.isUsable(originId) ? undefined : this.#origin.error);
  }

  // What it is told, and when it asks.

  /** A chunk is here, from wherever, and in memory at least: nobody needs to send it any more. */
  hold(chunk: number): void {
    for (const id of this.#picker.hold(chunk)) this.#cancel(id, chunk);
  }

  /** Tells all peers of this model that a chunk can be given. */
  announce(chunk: number): void {
    for (const link of this.#links.values()) link.announce(this.#parts.model, chunk);
  }

  /** Something is wanted anew: a seed that had been given up is tried again. */
  begin(): void {
    this.#wantedSinceMs = this.#parts.clock.now();
    this.#forgiveOrigin();
    this.updateInterest();
    this.pump();
    this.tickSoon();
    this.#parts.onChange();
  }

  updateInterest(): void {
    for (const link of this.#links.values()) link.updateInterest();
  }

  /** Asks every source for as much as it should be asked for now. */
  pump(): void {
    if (!this.#mayAsk()) return;
    for (const link of this.#links.values()) this.#ask(link);
    this.#askOrigin();
    this.tickSoon();
  }

  pause(): void {
    this.#isPaused = true;
    for (const id of [...this.#links.keys(), originId]) {
      for (const chunk of this.#picker.askedOf(id)) {
        this.#picker.fail(id, chunk);
        this.#cancel(id, chunk);
      }
    }
    this.#parts.onChange();
  }

  resume(): void {
    this.#isPaused = false;
    this.begin();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelTick?.();
    this.#cancelTell?.();
    this.#origin?.stop();
  }

  /** Looks after itself while something is missing: stalls, turns, losses. */
  tickSoon(): void {
    if (this.#cancelTick !== undefined || !this.#isMoving || this.#isStopped) return;
    this.#cancelTick = this.#parts.clock.after(limits.tickMs, () => {
      this.#cancelTick = undefined;
      for (const { id, chunks } of this.#picker.silent(this.#parts.clock.now())) this.#passOver(id, chunks);
      this.pump();
      this.#parts.onLook();
      this.tickSoon();
    });
  }

  // What links say.

  met(link: ExchangeLink): void {
    this.#links.set(link.peer, link);
    this.#picker.add(link.peer, 'peer');
    this.#tell(link, this.#picker.rumours());
    this.#parts.onChange();
  }

  parted(link: ExchangeLink): void {
    if (this.#links.get(link.peer) !== link) return;
    this.#links.delete(link.peer);
    this.#told.delete(link.peer);
    this.#picker.remove(link.peer);
    this.pump();
    this.#parts.onChange();
  }

  gained(link: ExchangeLink, chunks: readonly number[]): void {
    const nowMs = this.#parts.clock.now();
    for (const chunk of chunks) this.#picker.gain(link.peer, chunk, nowMs);
    this.#ask(link);
    this.#tellSoon();
  }

  heard(rumours: readonly Rumour[]): void {
    this.#picker.hear(rumours, this.#parts.clock.now());
    this.#tellSoon();
  }

  told(link: ExchangeLink): void {
    this.#told.add(link.peer);
    this.pump();
  }

  choked(link: ExchangeLink, isChoked: boolean): void {
    if (isChoked) this.#picker.choke(link.peer);
    else this.#picker.unchoke(link.peer);
    this.pump();
  }

  isInterestedIn(link: ExchangeLink): boolean {
    return !this.#isPaused && this.#picker.isUsable(link.peer) && this.#picker.isInteresting(link.peer);
  }

  progressed(link: ExchangeLink, chunk: number, bytes: number): void {
    this.#bytesFromPeers += bytes;
    this.#count(link.peer, chunk, bytes);
    this.#ask(link);
  }

  async received(link: ExchangeLink, chunk: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const { entry, chunk: place, sha256 } = this.#parts.chunks.at(chunk);
    try {
      await checkSha256(`chunk ${place} of ${entry.id} from ${link.peer}`, bytes, sha256);
    } catch (error) {
      this.#picker.fail(link.peer, chunk);
      this.#parts.onBadBytes(link.peer, asError(error));
      this.pump();
      return;
    }
    this.#verified(chunk, bytes);
  }

  refused(link: ExchangeLink, chunk: number, reason: RejectReason): void {
    if (reason === 'not-held' || reason === 'unreadable') this.#picker.lack(link.peer, chunk);
    else this.#picker.fail(link.peer, chunk);
    link.updateInterest();
    // Who says that there is too much is asked again at the next tick, not at once.
    if (reason !== 'too-many') this.pump();
  }

  #mayAsk(): boolean {
    return !this.#isPaused && !this.#isStopped && this.#parts.mayTakeMore();
  }

  #ask(link: ExchangeLink): void {
    if (!this.#mayAsk()) return;
    for (const chunk of this.#picker.next(link.peer, this.#parts.clock.now())) link.fetch(this.#parts.model, chunk);
  }

  #askOrigin(): void {
    const nowMs = this.#parts.clock.now();
    if (this.#origin?.mayBeAsked !== true) return;
    // Peers that were announced get a moment to say what they have.
    if (nowMs - this.#wantedSinceMs < limits.originGraceMs && this.#parts.arePeersExpected()) return;
    for (const chunk of this.#picker.next(originId, nowMs)) void this.#fetchFromOrigin(this.#origin, chunk);
    this.#tellSoon();
  }

  /** What is news of chunks, from here or from others, is passed on to all. */
  #tellSoon(): void {
    if (this.#cancelTell !== undefined || !this.#picker.hasNews || this.#isStopped) return;
    this.#cancelTell = this.#parts.clock.after(limits.rumourMs, () => {
      this.#cancelTell = undefined;
      const rumours = this.#picker.takeRumours();
      for (const link of this.#links.values()) this.#tell(link, rumours);
    });
  }

  #tell(link: ExchangeLink, rumours: readonly Rumour[]): void {
    const { chunks, isPrivate, model } = this.#parts;
    const open = rumours.filter(({ chunk }) => !isPrivate(chunks.at(chunk).entry.id));
    if (open.length > 0) link.tell(model, open);
  }

  async #fetchFromOrigin(origin: Origin, index: number): Promise<void> {
    const { entry, chunk } = this.#parts.chunks.at(index);
    const bytes = await origin.fetch({ index, entry, chunk });
    if (bytes !== undefined) return this.#verified(index, bytes);
    this.#picker.fail(originId, index);
    this.#parts.onLook();
    this.tickSoon();
  }

  #verified(chunk: number, bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#picker.holds(chunk) || this.#isStopped) return;
    this.hold(chunk);
    this.#parts.onVerified(chunk, bytes);
  }

  #forgiveOrigin(): void {
    this.#origin?.forgive();
    if (this.#origin === undefined || this.#picker.isUsable(originId)) return;
    // Its silences are forgotten, too.
    this.#picker.remove(originId);
    this.#picker.add(originId, 'origin');
  }

  #passOver(id: string, chunks: readonly number[]): void {
    for (const chunk of chunks) {
      if (id === originId) this.#origin?.passOver(chunk);
      else this.#cancel(id, chunk);
    }
    if (!this.#picker.isUsable(id)) this.#links.get(id)?.end('silent');
  }

  #count(id: string, chunk: number, bytes: number): void {
    const nowMs = this.#parts.clock.now();
    this.#rate.add(bytes, nowMs);
    this.#picker.progress(id, { chunk, bytes, nowMs });
  }

  #cancel(id: string, chunk: number): void {
    this.#links.get(id)?.cancel(this.#parts.model, chunk);
    if (id === originId) this.#origin?.cancel(chunk);
  }
}
