/**
 * One link of `/unfed/swarm/1`, both sides of it (SPEC.md, X rules): says which models we exchange and what we hold, asks,
 * serves, and ends the link of a peer that breaks the rules. It knows no picker, no store and no choker.
 */
import { DecodeError, LinkError, UnfedError, type Link, type ManifestHash, type PeerId } from '@unfed/protocol';
import { Bitmap } from './bitmap.ts';
import type { ExchangedModel, ExchangeLink } from './exchanged-model.ts';
import {
  decodeExchangeFrame,
  encodeExchangeFrame,
  type ByeReason,
  type ExchangeFrame,
  type HeardChunk,
  type RejectReason,
  type ShardChunk,
} from './exchange-frames.ts';
import { Fetching } from './fetching.ts';
import * as limits from './limits.ts';
import { ManifestExchange, type ReadManifest } from './manifest-exchange.ts';
import { RateMeter } from './rate-meter.ts';
import type { Rumour } from './rumours.ts';
import { Serving, type Served } from './serving.ts';
import type { SwarmClock } from './swarm-clock.ts';
import type { TokenBucket } from './token-bucket.ts';

export interface ExchangeInit {
  readonly link: Link;
  readonly clock: SwarmClock;
  readonly upload: TokenBucket;
  readonly download: TokenBucket;
  /** Models that we exchange, by their manifests. */
  readonly models: ReadonlyMap<ManifestHash, ExchangedModel>;
  readonly readManifest: ReadManifest;
  /** Interest changed on either side: who may download should be looked at. */
  readonly onInterest: () => void;
  readonly onSent: (bytes: number) => void;
  /** @param reason what one of the two said or did; undefined when the link just ended */
  readonly onEnd: (exchange: Exchange, reason: ByeReason | undefined, by: 'us' | 'them') => void;
}

export class Exchange implements ExchangeLink {
  readonly peer: PeerId;
  readonly openedAtMs: number;
  /** What the peer gave us, and took from us. */
  readonly given = new RateMeter();
  readonly taken = new RateMeter();
  readonly manifests: ManifestExchange;
  readonly #init: ExchangeInit;
  readonly #serving: Serving;
  readonly #fetching: Fetching;
  /** Our numbers of models, and the peer's. */
  readonly #ourSlots = new Map<ManifestHash, number>();
  readonly #theirSlots = new Map<number, ManifestHash>();
  readonly #met = new Set<ExchangedModel>();
  /** What the peer is to be told soon, by our number of the model. */
  readonly #gained = new Map<number, ShardChunk[]>();
  #cancelTelling: (() => void) | undefined;
  #theyChoke = true;
  #theyAreInterested = false;
  #weAreInterested = false;
  #isOpen = true;

  constructor(init: ExchangeInit) {
    this.#init = init;
    this.peer = init.link.peer;
    const { clock, upload, download } = init;
    this.openedAtMs = clock.now();
    this.#serving = new Serving({
      clock,
      upload,
      taken: this.taken,
      sendPart: (id, offset, bytes) => this.#sendNow({ kind: 'part', id, offset, bytes }),
      reject: (id, reason) => this.#send({ kind: 'reject', id, reason }),
      find: (slot, at) => this.#find(slot, at),
      onSent: init.onSent,
      onLeft: init.onInterest,
      onFlood: () => this.end('flood'),
    });
    this.#fetching = new Fetching({
      clock,
      download,
      request: (request) => this.#send({ kind: 'request', ...request }),
      cancel: (id) => this.#send({ kind: 'cancel', id }),
      progressed: (model, chunk, bytes) => {
        this.given.add(bytes, clock.now());
        model.progressed(this, chunk, bytes);
      },
      received: (model, chunk, bytes) => model.received(this, chunk, bytes),
      refused: (model, chunk, reason) => model.refused(this, chunk, reason),
    });
    this.manifests = new ManifestExchange({
      clock,
      upload,
      read: async (manifest, piece) => (init.models.has(manifest) ? init.readManifest(manifest, piece) : undefined),
      ask: (ask) => this.#send({ kind: 'ask-manifest', ...ask }),
      give: async (part) => {
        await this.#sendNow({ kind: 'manifest-part', ...part });
        init.onSent(part.bytes.byteLength);
      },
    });
    init.link.onFrame((frame) => this.#take(frame));
    void init.link.closed.then(() => this.#finish(undefined, 'them'));
    for (const model of init.models.values()) this.offer(model);
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** The peer lacks something that we hold. */
  get theyAreInterested(): boolean {
    return this.#theyAreInterested;
  }

  get weAreInterested(): boolean {
    return this.#weAreInterested;
  }

  /** A chunk is on its way to the peer, maybe the last one that it gets for now. */
  get isSending(): boolean {
    return this.#serving.isSending;
  }

  /** We let the peer download. */
  get isServing(): boolean {
    return this.#serving.isOpenToPeer;
  }

  /** The peer said that it exchanges this model. */
  names(manifest: ManifestHash): boolean {
    return [...this.#theirSlots.values()].includes(manifest);
  }

  /** Says that we exchange this model. */
  offer(model: ExchangedModel): void {
    if (this.#ourSlots.has(model.manifest) || this.#ourSlots.size >= limits.slotsMax) return;
    const slot = this.#ourSlots.size;
    this.#ourSlots.set(model.manifest, slot);
    this.#send({ kind: 'hello', slot, manifest: model.manifest });
    if (this.names(model.manifest)) this.#meet(model, slot);
  }

  /** A model that is no longer exchanged: what the peer asks of it is rejected. */
  withdraw(model: ExchangedModel): void {
    if (this.#met.delete(model)) model.parted(this);
  }

  fetch(model: ExchangedModel, chunk: number): void {
    const slot = this.#ourSlots.get(model.manifest);
    if (slot !== undefined && this.#isOpen) this.#fetching.start(model, chunk, slot);
  }

  cancel(model: ExchangedModel, chunk: number): void {
    this.#fetching.cancel(model, chunk);
  }

  announce(model: ExchangedModel, chunk: number): void {
    const slot = this.#ourSlots.get(model.manifest);
    if (slot === undefined || !this.#met.has(model)) return;
    const { shard, chunk: place } = model.chunks.at(chunk);
    const gained = this.#gained.get(slot) ?? [];
    this.#gained.set(slot, gained);
    gained.push({ shard, chunk: place });
    this.#cancelTelling ??= this.#init.clock.after(limits.gainedSoonMs, () => this.#tellGained());
  }

  tell(model: ExchangedModel, rumours: readonly Rumour[]): void {
    const slot = this.#ourSlots.get(model.manifest);
    if (slot === undefined || !this.#met.has(model)) return;
    for (let first = 0; first < rumours.length; first += limits.gainedChunksMax) {
      const some = rumours.slice(first, first + limits.gainedChunksMax);
      const chunks = some.map(({ chunk, round }) => {
        const { shard, chunk: place } = model.chunks.at(chunk);
        return { shard, chunk: place, round };
      });
      this.#send({ kind: 'heard', slot, chunks });
    }
  }

  updateInterest(): void {
    const interested = [...this.#met].some((model) => model.isInterestedIn(this));
    if (interested === this.#weAreInterested || !this.#isOpen) return;
    this.#weAreInterested = interested;
    this.#send({ kind: interested ? 'interested' : 'uninterested' });
    this.#init.onInterest();
  }

  /** Whether the peer may download from us; the swarm's choker decides. */
  serve(allowed: boolean): void {
    if (allowed === this.#serving.isOpenToPeer || !this.#isOpen) return;
    if (allowed) this.#serving.open();
    else this.#serving.choke();
    this.#send({ kind: allowed ? 'unchoke' : 'choke' });
  }

  end(reason: ByeReason): void {
    if (!this.#isOpen) return;
    this.#send({ kind: 'bye', reason });
    this.#finish(reason, 'us');
    this.#init.link.close();
  }

  /** Stores write in batches: what is gained together is told together. */
  #tellGained(): void {
    this.#cancelTelling = undefined;
    for (const [slot, chunks] of this.#gained) {
      for (let first = 0; first < chunks.length; first += limits.gainedChunksMax) {
        this.#send({ kind: 'gained', slot, chunks: chunks.slice(first, first + limits.gainedChunksMax) });
      }
    }
    this.#gained.clear();
  }

  #take(frame: Uint8Array): void {
    if (!this.#isOpen) return;
    try {
      this.#obey(decodeExchangeFrame(frame));
    } catch (error) {
      if (!(error instanceof UnfedError)) throw error;
      this.end('bad-frame');
    }
  }

  #obey(frame: ExchangeFrame): void {
    switch (frame.kind) {
      case 'hello':
        return this.#welcome(frame.slot, frame.manifest);
      case 'have':
        return this.#learn(frame.slot, (model) => this.#chunksOf(model, frame.shard, frame.bitmap), frame.shard);
      case 'gained':
        return this.#learn(frame.slot, (model) => frame.chunks.map((at) => indexOf(model, at)));
      case 'heard':
        return this.#hear(frame.slot, frame.chunks);
      case 'request':
        return this.#serving.add(frame);
      case 'part':
        return this.#fetching.take(frame.id, frame.offset, frame.bytes);
      case 'cancel':
        return this.#serving.cancel(frame.id);
      case 'reject':
        return this.#fetching.reject(frame.id, frame.reason);
      case 'choke':
      case 'unchoke':
        this.#theyChoke = frame.kind === 'choke';
        for (const model of this.#met) model.choked(this, this.#theyChoke);
        return;
      case 'interested':
      case 'uninterested':
        this.#theyAreInterested = frame.kind === 'interested';
        return this.#init.onInterest();
      case 'ask-manifest':
        return this.manifests.answer(frame);
      case 'manifest-part':
        return this.manifests.take(frame);
      case 'bye':
        this.#finish(frame.reason, 'them');
        this.#init.link.close();
    }
  }

  #welcome(slot: number, manifest: ManifestHash): void {
    if (this.#theirSlots.has(slot) || this.names(manifest)) {
      throw new DecodeError('hello frame', 'each slot and each model once', `slot ${slot} again`);
    }
    this.#theirSlots.set(slot, manifest);
    const model = this.#init.models.get(manifest);
    const ours = this.#ourSlots.get(manifest);
    if (model !== undefined && ours !== undefined) this.#meet(model, ours);
  }

  /** Both exchange the model: each says what it holds, in the order of the shards; the last one ends the list. */
  #meet(model: ExchangedModel, slot: number): void {
    this.#met.add(model);
    for (let shard = 0; shard < model.chunks.shards.length; shard++) {
      const { first, last } = model.chunks.range(shard);
      const bitmap = new Bitmap(last - first);
      for (let chunk = first; chunk < last; chunk++) if (model.gives(chunk)) bitmap.add(chunk - first);
      const isLast = shard === model.chunks.shards.length - 1;
      if (bitmap.count > 0 || isLast) this.#send({ kind: 'have', slot, shard, bitmap: bitmap.bytes() });
    }
    model.met(this);
    model.choked(this, this.#theyChoke);
  }

  #hear(slot: number, chunks: readonly HeardChunk[]): void {
    const model = this.#metModel(slot);
    model?.heard(
      this,
      chunks.map((at) => ({ chunk: indexOf(model, at), round: at.round })),
    );
  }

  /** @returns undefined for one that we do not exchange @throws DecodeError for a slot that the peer did not name */
  #metModel(slot: number): ExchangedModel | undefined {
    const manifest = this.#theirSlots.get(slot);
    if (manifest === undefined) throw new DecodeError('have frame', 'a slot that was named', `slot ${slot}`);
    const model = this.#init.models.get(manifest);
    return model !== undefined && this.#met.has(model) ? model : undefined;
  }

  #learn(slot: number, chunks: (model: ExchangedModel) => readonly number[], shard?: number): void {
    const model = this.#metModel(slot);
    if (model === undefined) return;
    model.gained(this, chunks(model));
    if (shard === model.chunks.shards.length - 1) model.told(this);
    this.updateInterest();
  }

  #chunksOf(model: ExchangedModel, shard: number, bytes: Uint8Array): number[] {
    const entry = model.chunks.shards[shard];
    if (entry === undefined) {
      throw new DecodeError('have frame', `a shard below ${model.chunks.shards.length}`, String(shard));
    }
    const { first } = model.chunks.range(shard);
    return [...Bitmap.from(bytes, entry.chunks.length).indexes()].map((chunk) => first + chunk);
  }

  #find(slot: number, at: ShardChunk): Served | RejectReason {
    const manifest = this.#theirSlots.get(slot);
    const model = manifest === undefined ? undefined : this.#init.models.get(manifest);
    if (model === undefined || !this.#met.has(model)) return 'unknown-model';
    const chunk = model.chunks.index(at.shard, at.chunk);
    if (chunk === undefined) return 'outside';
    if (!model.gives(chunk)) return 'not-held';
    const { bytes } = model.chunks.at(chunk);
    return { key: `${model.manifest} ${chunk}`, bytes, read: () => model.read(chunk) };
  }

  #send(frame: ExchangeFrame): void {
    this.#sendNow(frame).catch((error: unknown) => {
      // A peer that takes nothing, so that even small frames pile up, is given up; a link that closed ends by itself.
      if (error instanceof LinkError && error.code === 'link-queue-full') this.end('silent');
    });
  }

  async #sendNow(frame: ExchangeFrame): Promise<void> {
    if (this.#isOpen) await this.#init.link.send(encodeExchangeFrame(frame));
  }

  #finish(reason: ByeReason | undefined, by: 'us' | 'them'): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#cancelTelling?.();
    this.#serving.stop();
    this.#fetching.stop();
    this.manifests.stop();
    for (const model of this.#met) model.parted(this);
    this.#met.clear();
    this.#init.onEnd(this, reason, by);
  }
}

function indexOf(model: ExchangedModel, { shard, chunk }: ShardChunk): number {
  const index = model.chunks.index(shard, chunk);
  if (index === undefined) throw new DecodeError('gained frame', 'chunks of the model', `${chunk} of shard ${shard}`);
  return index;
}
