/**
 * One model in the swarm: what is wanted of it is fetched from peers and the seed, verified, stored, and then given.
 * After a crash it goes on with what the store holds.
 */
import type { ManifestHash, PeerId, ShardId } from '@unfed/protocol';
import { ChunkMap } from './chunk-map.ts';
import { ChunkSources } from './chunk-sources.ts';
import type { DownloadParts } from './download-parts.ts';
import { SourceError } from './errors.ts';
import type { RejectReason } from './exchange-frames.ts';
import type { ExchangedModel, ExchangeLink } from './exchanged-model.ts';
import { KeptChunks } from './kept-chunks.ts';
import { OriginTurns } from './origin-turn.ts';
import { Picker } from './picker.ts';
import { pieceState, type PieceMap, type PieceState } from './piece-map.ts';
import type { ModelProgress } from './progress.ts';
import type { Rumour } from './rumours.ts';
import type { ShardOptions } from './shard-source.ts';
import { WantedShards } from './wanted-shards.ts';

export class Download implements ExchangedModel {
  readonly manifest: ManifestHash;
  readonly chunks: ChunkMap;
  /** Resolves when it is known what the store holds. */
  readonly ready: Promise<void>;
  readonly #parts: DownloadParts;
  readonly #picker: Picker;
  readonly #kept: KeptChunks;
  readonly #sources: ChunkSources;
  readonly #wanted: WantedShards;
  readonly #abort = new AbortController();

  constructor(parts: DownloadParts) {
    this.#parts = parts;
    this.manifest = parts.hash;
    const chunks = new ChunkMap(parts.manifest);
    this.chunks = chunks;
    const turns = new OriginTurns(parts);
    this.#picker = new Picker({
      chunks: chunks.total,
      bytesOf: (chunk) => chunks.at(chunk).bytes,
      random: parts.random,
      originTurn: (chunk, need, nowMs) => turns.order(chunk, need, nowMs),
    });
    const inside = { ...parts, chunks, picker: this.#picker, stopped: this.#abort.signal };
    this.#kept = new KeptChunks({
      ...inside,
      gained: (chunk) => this.#gained(chunk),
      lost: (chunk) => this.#lost(chunk),
      onFull: (chunk, bytes) => this.#wanted.spare(chunk, bytes),
    });
    this.#sources = new ChunkSources({
      ...inside,
      model: this,
      mayTakeMore: () => this.#kept.mayPutMore,
      onVerified: (chunk, bytes) => void this.#put(chunk, bytes),
      onLook: () => this.#failHopeless(),
    });
    this.#wanted = new WantedShards({ ...inside, kept: this.#kept, sources: this.#sources });
    this.ready = this.reload();
    this.ready.catch(() => undefined);
  }

  /** Nothing that is wanted is missing. */
  get isComplete(): boolean {
    return this.#picker.missingCount === 0;
  }

  /** Something of it can be given. */
  get holdsAny(): boolean {
    return this.#kept.givenCount > 0;
  }

  get isPaused(): boolean {
    return this.#sources.isPaused;
  }

  /** The peer has said what it holds. */
  knows(peer: PeerId): boolean {
    return this.#sources.knows(peer);
  }

  /** Reads again what the store holds: another tab, or the making of room, may have changed it. @throws StoreError */
  async reload(): Promise<void> {
    await this.#kept.reload();
    this.#wanted.settle();
    this.#sources.pump();
  }

  /** Fetches these shards, in any order among them, and keeps them. @throws InvalidValueError */
  want(shards: readonly ShardId[]): void {
    this.#wanted.want(shards);
  }

  /** Fetches no more of these, unless somebody waits for them; what is held stays. @throws InvalidValueError */
  unwant(shards: readonly ShardId[]): void {
    this.#wanted.unwant(shards);
  }

  /** Also for shards that the model has not: strangers announce them. */
  isWanted(id: ShardId): boolean {
    return [...this.#wanted.places].some((place) => this.chunks.shards[place]?.id === id);
  }

  /** @returns the verified shard @throws as ShardSource.shard does */
  async shard(id: ShardId, options: ShardOptions = {}): Promise<Uint8Array> {
    options.signal?.throwIfAborted();
    await this.ready;
    return this.#wanted.claim(id, options);
  }

  pause(): void {
    this.#sources.pause();
  }

  resume(): void {
    this.#sources.resume();
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
    this.#sources.stop();
    this.#wanted.failAll(reason);
  }

  get progress(): ModelProgress {
    const sources = this.#sources;
    const places = [...this.#wanted.places];
    const ranges = places.map((place) => this.chunks.range(place));
    const isHere = (chunk: number): boolean => this.#picker.holds(chunk);
    return {
      manifest: this.manifest,
      name: this.#parts.manifest.name,
      doneBytes: ranges.reduce((sum, range) => sum + this.chunks.bytesWhere(range, isHere), 0),
      totalBytes: places.reduce((sum, place) => sum + (this.chunks.shards[place]?.bytes ?? 0), 0),
      bytesPerSecond: sources.bytesPerSecond,
      peers: sources.peers,
      peersGiving: sources.peersGiving,
      seed: sources.isOriginGiving,
      paused: sources.isPaused,
      isStoreFull: this.#kept.isFull,
      bytesFromPeers: sources.bytesFromPeers,
      bytesFromSeed: sources.bytesFromOrigin,
      failure: ranges.map((range) => sources.lossOf(range)).find((loss) => loss !== undefined),
    };
  }

  pieceMap(): PieceMap {
    return this.chunks.shards.map(({ id, chunks }, place) => {
      const { first } = this.chunks.range(place);
      const isWanted = this.#wanted.places.has(place);
      return { id, states: Uint8Array.from(chunks, (_, i) => pieceState(this.#stateOf(first + i, isWanted))) };
    });
  }

  // What links ask of a model, and tell it.

  gives(chunk: number): boolean {
    return this.#kept.gives(chunk);
  }

  read(chunk: number): Promise<Uint8Array | undefined> {
    return this.#kept.read(chunk);
  }

  met(link: ExchangeLink): void {
    this.#sources.met(link);
  }

  parted(link: ExchangeLink): void {
    this.#sources.parted(link);
  }

  gained(link: ExchangeLink, chunks: readonly number[]): void {
    this.#sources.gained(link, chunks);
  }

  heard(_: ExchangeLink, rumours: readonly Rumour[]): void {
    this.#sources.heard(rumours);
  }

  told(link: ExchangeLink): void {
    this.#sources.told(link);
  }

  choked(link: ExchangeLink, isChoked: boolean): void {
    this.#sources.choked(link, isChoked);
  }

  isInterestedIn(link: ExchangeLink): boolean {
    return this.#sources.isInterestedIn(link);
  }

  progressed(link: ExchangeLink, chunk: number, bytes: number): void {
    this.#sources.progressed(link, chunk, bytes);
  }

  received(link: ExchangeLink, chunk: number, bytes: Uint8Array<ArrayBuffer>): void {
    void this.#sources.received(link, chunk, bytes);
  }

  refused(link: ExchangeLink, chunk: number, reason: RejectReason): void {
    this.#sources.refused(link, chunk, reason);
  }

  // Between the parts.

  async #put(chunk: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#kept.put(chunk, bytes);
    if (this.#abort.signal.aborted) return;
    this.#wanted.settle();
    this.#sources.updateInterest();
    this.#sources.pump();
    this.#parts.onChange();
  }

  #gained(chunk: number): void {
    this.#sources.hold(chunk);
    this.#sources.announce(chunk);
  }

  #lost(chunk: number): void {
    this.#picker.lose(chunk);
    this.#sources.tickSoon();
  }

  #failHopeless(): void {
    this.#wanted.failHopeless();
    this.#parts.onChange();
  }

  #stateOf(chunk: number, isWanted: boolean): PieceState {
    if (this.#kept.has(chunk)) return 'held';
    if (!isWanted) return 'other';
    if (this.#picker.underWayOf(chunk) > 0 || this.#picker.holds(chunk)) return 'coming';
    return this.#sources.isOffered(chunk) ? 'offered' : 'missing';
  }
}
