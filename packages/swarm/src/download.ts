/**
 * One model in the swarm: fetches the wanted shards from peers and the seed, verifies every chunk before it is stored,
 * and gives what is stored. After a crash it goes on with what the store holds.
 */
import { asError, type ManifestHash, type PeerId, type ShardId } from '@unfed/protocol';
import { ChunkMap } from './chunk-map.ts';
import { Bitmap } from './bitmap.ts';
import { Claim } from './claim.ts';
import type { DownloadParts } from './download-parts.ts';
import { noSource, SourceError } from './errors.ts';
import type { ExchangedModel, ExchangeLink } from './exchanged-model.ts';
import type { RejectReason } from './exchange-frames.ts';
import * as limits from './limits.ts';
import { Origin } from './origin.ts';
import { OriginTurns } from './origin-turn.ts';
import { Picker } from './picker.ts';
import { pieceState, type PieceMap, type PieceState } from './piece-map.ts';
import type { ModelProgress } from './progress.ts';
import { RateMeter } from './rate-meter.ts';
import { checkSha256 } from './sha256.ts';
import type { ShardOptions } from './shard-source.ts';
import { putOrMakeRoom } from './put-or-make-room.ts';
import { ChunksMissingError } from './store-errors.ts';

const originId = 'origin';
/** Times that a shard is put together anew after the store lost some of it. */
const assembliesMax = 4;

export class Download implements ExchangedModel {
  readonly manifest: ManifestHash;
  readonly chunks: ChunkMap;
  /** Resolves when it is known what the store holds. */
  readonly ready: Promise<void>;
  readonly #parts: DownloadParts;
  readonly #picker: Picker;
  readonly #origin: Origin | undefined;
  readonly #stored: Bitmap;
  readonly #wanted = new Set<number>();
  readonly #links = new Map<string, ExchangeLink>();
  readonly #told = new Set<PeerId>();
  readonly #claims = new Set<Claim>();
  readonly #abort = new AbortController();
  readonly #rate = new RateMeter();
  #bytesFromPeers = 0;
  /** Verified chunks on their way into the store. */
  readonly #putting = new Set<number>();
  #paused = false;
  #isStoreFull = false;
  #wantedSinceMs = 0;
  #cancelTick: (() => void) | undefined;

  constructor(parts: DownloadParts) {
    this.#parts = parts;
    this.manifest = parts.hash;
    this.chunks = new ChunkMap(parts.manifest);
    this.#stored = new Bitmap(this.chunks.total);
    const { seed, hash, clock } = parts;
    const onBytes = (chunk: number, bytes: number): void => this.#progressed(originId, chunk, bytes);
    this.#origin = seed === undefined ? undefined : new Origin({ seed, hash, clock }, onBytes);
    const turns = new OriginTurns(parts.self, parts.others, parts.hasTakers);
    this.#picker = new Picker({
      chunks: this.chunks.total,
      bytesOf: (chunk) => this.chunks.at(chunk).bytes,
      random: parts.random,
      originTurn: (chunk, need, nowMs) => turns.order(chunk, need, nowMs),
    });
    if (this.#origin !== undefined) this.#picker.add(originId, 'origin');
    this.ready = this.reload();
    this.ready.catch(() => undefined);
  }

  /** Nothing that is wanted is missing. */
  get isComplete(): boolean {
    return this.#picker.missingCount === 0;
  }

  get holdsAny(): boolean {
    return this.#stored.count > 0;
  }

  /** The peer has said what it holds. */
  knows(peer: PeerId): boolean {
    return this.#told.has(peer);
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  /** Reads again what the store holds: another tab, or the making of room, may have changed it. */
  async reload(): Promise<void> {
    const held = await this.#parts.store.held(this.manifest);
    const now = new Bitmap(this.chunks.total);
    for (const [id, chunks] of held) {
      const shard = this.chunks.shards.findIndex((entry) => entry.id === id);
      for (const chunk of chunks) {
        const index = this.chunks.index(shard, chunk);
        if (index !== undefined) now.add(index);
      }
    }
    for (let chunk = 0; chunk < this.chunks.total; chunk++) {
      if (now.has(chunk) && !this.#stored.has(chunk)) this.#keep(chunk);
      else if (!now.has(chunk) && this.#stored.has(chunk)) this.#lose(chunk);
    }
    this.#settleClaims();
    this.#pump();
  }

  /** Fetches these shards, in any order among them, and keeps them. */
  want(shards: readonly ShardId[]): void {
    for (const id of shards) this.#wantShard(this.chunks.place(id), 1);
    this.#begin();
  }

  /** Fetches no more of these, unless somebody waits for them; what is held stays. */
  unwant(shards: readonly ShardId[]): void {
    for (const id of shards) {
      const place = this.chunks.place(id);
      if ([...this.#claims].some((claim) => claim.first === this.chunks.range(place).first)) continue;
      this.#giveUp(place);
    }
    this.#parts.onChange();
  }

  isWanted(id: ShardId): boolean {
    return this.#wanted.has(this.chunks.place(id));
  }

  /** @returns the verified shard @throws as ShardSource.shard does */
  async shard(id: ShardId, { signal, onProgress }: ShardOptions = {}): Promise<Uint8Array> {
    signal?.throwIfAborted();
    await this.ready;
    const place = this.chunks.place(id);
    const range = this.chunks.range(place);
    const { entry } = this.chunks.at(range.first);
    for (let tries = 1; ; tries++) {
      const claim = new Claim({ entry, ...range }, onProgress ?? (() => undefined));
      await this.#waitFor(claim, place, signal);
      try {
        return await this.#assemble(claim, signal);
      } catch (error) {
        if (!(error instanceof ChunksMissingError) || tries === assembliesMax) throw error;
        for (const chunk of error.chunks) this.#lose(range.first + chunk);
      }
    }
  }

  pause(): void {
    this.#paused = true;
    for (const link of this.#links.values()) {
      for (const chunk of this.#picker.askedOf(link.peer)) this.#dropRequest(link.peer, chunk);
    }
    for (const chunk of this.#picker.askedOf(originId)) this.#dropRequest(originId, chunk);
    this.#parts.onChange();
  }

  resume(): void {
    this.#paused = false;
    this.#begin();
    this.#parts.onChange();
  }

  /** While downloads are limited, little is asked for in advance. */
  setWindow(chunksMax: number): void {
    this.#picker.windowChunksMax = chunksMax;
  }

  stop(): void {
    const reason = new SourceError(
      { failure: 'unreachable', path: this.manifest, transient: true },
      'the swarm was stopped, or the model deleted; ask again',
    );
    this.#abort.abort(reason);
    this.#cancelTick?.();
    this.#origin?.stop();
    for (const claim of this.#claims) claim.fail(reason);
    this.#claims.clear();
  }

  get progress(): ModelProgress {
    const nowMs = this.#parts.clock.now();
    const held = (chunk: number): boolean => this.#picker.holds(chunk);
    let [doneBytes, totalBytes] = [0, 0];
    for (const place of this.#wanted) {
      doneBytes += this.chunks.bytesWhere(this.chunks.range(place), held);
      totalBytes += this.chunks.shards[place]?.bytes ?? 0;
    }
    const isMoving = !this.#paused && !this.isComplete;
    return {
      manifest: this.manifest,
      name: this.#parts.manifest.name,
      doneBytes,
      totalBytes,
      bytesPerSecond: isMoving ? this.#rate.bytesPerSecond(nowMs) : 0,
      peers: this.#links.size,
      peersGiving: [...this.#links.keys()].filter((id) => this.#picker.askedOf(id).length > 0).length,
      seed: isMoving && this.#origin?.isGiving === true,
      paused: this.#paused,
      isStoreFull: this.#isStoreFull,
      bytesFromPeers: this.#bytesFromPeers,
      bytesFromSeed: this.#origin?.bytes ?? 0,
      failure: [...this.#wanted]
        .map((place) => this.#lossOf(this.chunks.range(place)))
        .find((loss) => loss !== undefined),
    };
  }

  pieceMap(): PieceMap {
    return this.chunks.shards.map(({ id, chunks }, place) => {
      const { first } = this.chunks.range(place);
      const isWanted = this.#wanted.has(place);
      return { id, states: Uint8Array.from(chunks, (_, i) => pieceState(this.#stateOf(first + i, isWanted))) };
    });
  }

  gives(chunk: number): boolean {
    return this.#stored.has(chunk);
  }

  async read(chunk: number): Promise<Uint8Array | undefined> {
    const { entry, chunk: place, sha256 } = this.chunks.at(chunk);
    const bytes = await this.#parts.store.get({ manifest: this.manifest, shard: entry.id, chunk: place }, sha256);
    if (bytes === undefined) this.#lose(chunk);
    return bytes;
  }

  met(link: ExchangeLink): void {
    this.#links.set(link.peer, link);
    this.#picker.add(link.peer, 'peer');
    this.#parts.onChange();
  }

  parted(link: ExchangeLink): void {
    if (this.#links.get(link.peer) !== link) return;
    this.#links.delete(link.peer);
    this.#told.delete(link.peer);
    this.#picker.remove(link.peer);
    this.#pump();
    this.#parts.onChange();
  }

  gained(link: ExchangeLink, chunks: readonly number[]): void {
    const nowMs = this.#parts.clock.now();
    for (const chunk of chunks) this.#picker.gain(link.peer, chunk, nowMs);
    this.#ask(link);
  }

  told(link: ExchangeLink): void {
    this.#told.add(link.peer);
    this.#pump();
  }

  choked(link: ExchangeLink, isChoked: boolean): void {
    if (isChoked) this.#picker.choke(link.peer);
    else this.#picker.unchoke(link.peer);
    this.#pump();
  }

  isInterestedIn(link: ExchangeLink): boolean {
    return !this.#paused && this.#picker.isUsable(link.peer) && this.#picker.isInteresting(link.peer);
  }

  progressed(link: ExchangeLink, chunk: number, bytes: number): void {
    this.#bytesFromPeers += bytes;
    this.#progressed(link.peer, chunk, bytes);
    this.#ask(link);
  }

  received(link: ExchangeLink, chunk: number, bytes: Uint8Array<ArrayBuffer>): void {
    void this.#check(link, chunk, bytes);
  }

  refused(link: ExchangeLink, chunk: number, reason: RejectReason): void {
    if (reason === 'not-held' || reason === 'unreadable') this.#picker.lack(link.peer, chunk);
    else this.#picker.fail(link.peer, chunk);
    link.updateInterest();
    // Who says that there is too much is asked again at the next tick, not at once.
    if (reason !== 'too-many') this.#pump();
  }

  // Fetching.

  #wantShard(place: number, priority: number): void {
    if (this.#wanted.has(place)) return;
    this.#wanted.add(place);
    const { first, last } = this.chunks.range(place);
    for (let chunk = first; chunk < last; chunk++) this.#picker.want(chunk, priority);
  }

  #begin(): void {
    this.#wantedSinceMs = this.#parts.clock.now();
    this.#origin?.forgive();
    for (const link of this.#links.values()) link.updateInterest();
    this.#pump();
    this.#tickSoon();
    this.#parts.onChange();
  }

  #tickSoon(): void {
    if (this.#cancelTick !== undefined || this.isComplete || this.#paused || this.#abort.signal.aborted) return;
    this.#cancelTick = this.#parts.clock.after(limits.tickMs, () => {
      this.#cancelTick = undefined;
      for (const { id, chunks } of this.#picker.silent(this.#parts.clock.now())) this.#passOver(id, chunks);
      this.#pump();
      this.#failHopeless();
      this.#tickSoon();
    });
  }

  #passOver(id: string, chunks: readonly number[]): void {
    for (const chunk of chunks) this.#cancel(id, chunk);
    if (!this.#picker.isUsable(id)) this.#links.get(id)?.end('silent');
  }

  #progressed(id: string, chunk: number, bytes: number): void {
    const nowMs = this.#parts.clock.now();
    this.#rate.add(bytes, nowMs);
    this.#picker.progress(id, { chunk, bytes, nowMs });
  }

  #pump(): void {
    if (!this.#mayAsk()) return;
    for (const link of this.#links.values()) this.#ask(link);
    this.#askOrigin();
    this.#tickSoon();
  }

  #mayAsk(): boolean {
    return !this.#paused && !this.#abort.signal.aborted && this.#putting.size < limits.putsMax;
  }

  #ask(link: ExchangeLink): void {
    if (!this.#mayAsk()) return;
    for (const chunk of this.#picker.next(link.peer, this.#parts.clock.now())) link.fetch(this, chunk);
  }

  #askOrigin(): void {
    const nowMs = this.#parts.clock.now();
    if (this.#origin?.mayBeAsked !== true) return;
    // Peers that were announced get a moment to say what they have.
    if (nowMs - this.#wantedSinceMs < limits.originGraceMs && this.#parts.arePeersExpected()) return;
    for (const chunk of this.#picker.next(originId, nowMs)) void this.#fetchFromOrigin(this.#origin, chunk);
  }

  async #fetchFromOrigin(origin: Origin, index: number): Promise<void> {
    const { entry, chunk } = this.chunks.at(index);
    const bytes = await origin.fetch({ index, entry, chunk });
    if (bytes !== undefined) return this.#accept(index, bytes);
    this.#picker.fail(originId, index);
    this.#failHopeless();
    this.#tickSoon();
  }

  async #check(link: ExchangeLink, chunk: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const { entry, chunk: place, sha256 } = this.chunks.at(chunk);
    try {
      await checkSha256(`chunk ${place} of ${entry.id} from ${link.peer}`, bytes, sha256);
    } catch (error) {
      this.#picker.fail(link.peer, chunk);
      this.#parts.onBadBytes(link.peer, asError(error));
      this.#pump();
      return;
    }
    await this.#accept(chunk, bytes);
  }

  /** A verified chunk: nobody needs to send it any more; it is stored, and then given. */
  async #accept(chunk: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    if (this.#picker.holds(chunk) || this.#abort.signal.aborted) return;
    for (const id of this.#picker.hold(chunk)) this.#cancel(id, chunk);
    this.#putting.add(chunk);
    const { entry, chunk: place } = this.chunks.at(chunk);
    const address = { manifest: this.manifest, shard: entry.id, chunk: place };
    const result = await putOrMakeRoom(this.#parts, address, bytes);
    this.#putting.delete(chunk);
    if (this.#abort.signal.aborted) return;
    if (result === 'stored') {
      this.#keep(chunk);
    } else {
      this.#isStoreFull = true;
      this.#spare(chunk, bytes);
    }
    this.#settleClaims();
    for (const link of this.#links.values()) link.updateInterest();
    this.#pump();
    this.#parts.onChange();
  }

  #keep(chunk: number): void {
    for (const id of this.#picker.hold(chunk)) this.#cancel(id, chunk);
    if (!this.#stored.add(chunk)) return;
    for (const link of this.#links.values()) link.announce(this, chunk);
  }

  /** For those who wait for it the chunk is kept in memory; a shard that nobody waits for is given up. */
  #spare(chunk: number, bytes: Uint8Array<ArrayBuffer>): void {
    const claims = [...this.#claims].filter((claim) => claim.has(chunk));
    for (const claim of claims) claim.spare.set(chunk, bytes);
    if (claims.length > 0) return;
    this.#picker.lose(chunk);
    this.#giveUp(this.chunks.at(chunk).shard);
  }

  #giveUp(place: number): void {
    this.#wanted.delete(place);
    const { first, last } = this.chunks.range(place);
    for (let chunk = first; chunk < last; chunk++) this.#picker.unwant(chunk);
  }

  #lose(chunk: number): void {
    if (this.#stored.has(chunk)) this.#stored.delete(chunk);
    this.#picker.lose(chunk);
    this.#tickSoon();
  }

  #dropRequest(id: string, chunk: number): void {
    this.#picker.fail(id, chunk);
    this.#cancel(id, chunk);
  }

  #cancel(id: string, chunk: number): void {
    this.#links.get(id)?.cancel(this, chunk);
    if (id === originId) this.#origin?.cancel(chunk);
  }

  async #waitFor(claim: Claim, place: number, signal: AbortSignal | undefined): Promise<void> {
    const onAbort = (): void => claim.fail(asError(signal?.reason));
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#claims.add(claim);
    const wasWanted = this.#wanted.has(place);
    try {
      signal?.throwIfAborted();
      this.#abort.signal.throwIfAborted();
      this.#wantShard(place, 0);
      // Chunks that nothing was kept of may have been held for an earlier claim.
      for (let chunk = claim.first; chunk < claim.last; chunk++) {
        if (this.#picker.holds(chunk) && !this.#stored.has(chunk) && !this.#putting.has(chunk))
          this.#picker.lose(chunk);
      }
      this.#begin();
      this.#settleClaims();
      await claim.settled;
    } catch (error) {
      this.#claims.delete(claim);
      const { id } = claim.entry;
      if (!wasWanted && !this.#abort.signal.aborted) this.unwant([id]);
      throw error;
    } finally {
      this.#claims.delete(claim);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #settleClaims(): void {
    for (const claim of this.#claims) claim.look(this.chunks, (chunk) => this.#stored.has(chunk));
  }

  async #assemble(claim: Claim, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const { entry, first, spare } = claim;
    if (spare.size === 0)
      return this.#parts.store.assemble(this.manifest, entry, signal === undefined ? {} : { signal });
    const { shard, missing } = await claim.assemble((chunk) => this.read(chunk), signal);
    // What was kept for this claim alone is not held by anybody now, and not fetched again until somebody asks.
    this.#giveUp(this.chunks.at(first).shard);
    for (const chunk of spare.keys()) if (!this.#stored.has(chunk)) this.#picker.lose(chunk);
    if (missing.length > 0) throw new ChunksMissingError(this.manifest, entry.id, missing);
    return shard;
  }

  /** Those who wait for what neither the seed nor any peer can give learn so. */
  #failHopeless(): void {
    for (const claim of [...this.#claims]) {
      const loss = this.#lossOf(claim);
      if (loss !== undefined) claim.fail(loss);
    }
    this.#parts.onChange();
  }

  /** Why some of these chunks cannot be had now. */
  #lossOf(range: { first: number; last: number }): Error | undefined {
    if (this.isComplete || this.#parts.arePeersExpected()) return undefined;
    const gone = this.#origin === undefined ? noSource(this.manifest) : this.#origin.givenUp;
    const isLost = (chunk: number): boolean => !this.#picker.holds(chunk) && this.#picker.copiesOf(chunk) === 0;
    return gone !== undefined && this.chunks.bytesWhere(range, isLost) > 0 ? gone : undefined;
  }

  #stateOf(chunk: number, isWanted: boolean): PieceState {
    if (this.#stored.has(chunk)) return 'held';
    if (!isWanted) return 'other';
    if (this.#picker.underWayOf(chunk) > 0 || this.#picker.holds(chunk)) return 'coming';
    return this.#picker.copiesOf(chunk) > 0 || this.#origin?.givenUp === undefined ? 'offered' : 'missing';
  }
}
