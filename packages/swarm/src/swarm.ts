/**
 * A peer in the swarm: exchanges chunks of models with other peers, with an HTTP seed or a folder as one more source, and
 * keeps them in a store. For its readers it is a ShardSource like every other.
 */
import * as protocol from '@unfed/protocol';
import type { Link, Manifest, ManifestFile, ManifestHash, PeerId, ShardId, UnfedError } from '@unfed/protocol';
import { Choker, slotsFor } from './choker.ts';
import { Download } from './download.ts';
import { SourceError } from './errors.ts';
import { Exchange } from './exchange.ts';
import type { ByeReason } from './exchange-frames.ts';
import { freeRoom, type ShardWorth } from './free-room.ts';
import * as limits from './limits.ts';
import { NeighbourFinder } from './neighbour-finder.ts';
import { peerHash } from './origin-turn.ts';
import type { PieceMap } from './piece-map.ts';
import type { ModelProgress } from './progress.ts';
import { RateMeter } from './rate-meter.ts';
import { checkSha256 } from './sha256.ts';
import type { ManifestOptions, ShardOptions, ShardSource, SourceOptions } from './shard-source.ts';
import type { StoreChange } from './store.ts';
import type { Ban, Swarm, SwarmOptions, Upload } from './swarm-contract.ts';
import { systemClock, type SwarmClock } from './swarm-clock.ts';
import { TokenBucket } from './token-bucket.ts';
import { verifiedSource, type RawFiles } from './verified-source.ts';

export function createSwarm(options: SwarmOptions): Swarm {
  return new SwarmPeer(options);
}

/** Where there is no seed: nothing is found there. */
const noFiles: RawFiles = {
  read({ path }) {
    const detail = 'there is no seed, and the store does not have it; name a seed';
    throw new SourceError({ failure: 'not-found', path, transient: false }, detail);
  },
};

class SwarmPeer implements Swarm {
  readonly #options: SwarmOptions;
  readonly #clock: SwarmClock;
  readonly #random: () => number;
  readonly #seed: ShardSource;
  readonly #models = new Map<ManifestHash, Download>();
  readonly #hashes = new WeakMap<Manifest, ManifestHash>();
  readonly #exchanges = new Map<PeerId, Exchange>();
  readonly #taken = new WeakSet<Link>();
  readonly #bans = new Map<PeerId, string>();
  readonly #finder: NeighbourFinder;
  readonly #choker: Choker;
  readonly #uploadBucket: TokenBucket;
  readonly #downloadBucket: TokenBucket;
  readonly #sentRate = new RateMeter();
  readonly #listeners = new Set<() => void>();
  readonly #cancels = new Map<string, () => void>();
  readonly #stops: (() => void)[];
  #bytesSent = 0;
  #sentPeak = 0;
  #paused = false;
  #makingRoom: Promise<unknown> = Promise.resolve();
  #stopped = false;

  constructor(options: SwarmOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    const { triesMax, backoffMs, backoffMsMax } = limits;
    this.#seed = verifiedSource(options.seed ?? noFiles, { triesMax, backoffMs, backoffMsMax });
    this.#choker = new Choker({ random: this.#random });
    this.#uploadBucket = new TokenBucket(this.#clock);
    this.#downloadBucket = new TokenBucket(this.#clock);
    const { links, directory, store } = options;
    this.#finder = new NeighbourFinder({
      links,
      directory,
      clock: this.#clock,
      random: this.#random,
      isNeighbour: options.isNeighbour ?? (() => false),
      isRefused: (peer) => this.#bans.has(peer),
      has: (peer) => this.#exchanges.has(peer),
      onLink: (link) => this.#attach(link),
    });
    this.#stops = [
      links.accept(protocol.swarmProtocol, (link) => this.#attach(link)),
      directory.onChange(() => this.#soon('find', limits.notifyMs, () => this.#find())),
      store.onChange((change) => this.#onStoreChange(change)),
    ];
    this.#rechokeRound();
    void this.#restore().catch(() => undefined);
  }

  // What it shows.

  get seeds(): readonly ManifestHash[] {
    const exchanged = [...this.#models.values()].filter((model) => model.holdsAny || !model.isComplete);
    return exchanged.map(({ manifest }) => manifest).slice(-protocol.limits.seedsMax);
  }

  get progress(): readonly ModelProgress[] {
    return [...this.#models.values()].map((model) => model.progress);
  }

  get upload(): Upload {
    return {
      bytesSent: this.#bytesSent,
      bytesPerSecond: this.#sentRate.bytesPerSecond(this.#clock.now()),
      peers: [...this.#exchanges.values()].filter((exchange) => exchange.isServing).length,
    };
  }

  get bans(): readonly Ban[] {
    return [...this.#bans].map(([peer, reason]) => ({ peer, reason }));
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  pieceMap(manifest: ManifestHash): PieceMap | undefined {
    return this.#models.get(manifest)?.pieceMap();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  // The source.

  async manifest(
    hash: ManifestHash,
    options: ManifestOptions = {},
  ): Promise<{ manifest: Manifest; bytes: Uint8Array }> {
    options.signal?.throwIfAborted();
    const kept = options.publisher === undefined ? await this.#keptManifest(hash) : undefined;
    if (kept !== undefined) return kept;
    const came = await this.#seed.manifest(hash, options);
    this.#hashes.set(came.manifest, hash);
    await this.#keepFile(hash, protocol.manifestFileName, came.bytes);
    return came;
  }

  async file(manifest: Manifest, file: ManifestFile, options: SourceOptions = {}): Promise<Uint8Array> {
    options.signal?.throwIfAborted();
    const hash = this.#hashOf(manifest);
    const name = protocol.manifestFileNames[file];
    const entry = manifest[file];
    const kept = await this.#options.store.getFile(hash, name).catch(() => undefined);
    if (kept !== undefined && entry !== null) {
      // A damaged file is fetched again, like one that is not there.
      const isGood = await checkSha256(name, kept, entry.sha256).then(
        () => true,
        () => false,
      );
      if (isGood) return kept;
    }
    const bytes = await this.#seed.file(manifest, file, options);
    await this.#keepFile(hash, name, bytes);
    return bytes;
  }

  async shard(manifest: Manifest, id: ShardId, options: ShardOptions = {}): Promise<Uint8Array> {
    options.signal?.throwIfAborted();
    protocol.shardEntry(manifest, id);
    return this.#model(manifest).shard(id, options);
  }

  async want(manifest: Manifest, shards: readonly ShardId[]): Promise<void> {
    const model = this.#model(manifest);
    await model.ready;
    model.want(shards);
    this.#find();
  }

  unwant(manifest: Manifest, shards: readonly ShardId[]): void {
    this.#models.get(this.#hashOf(manifest))?.unwant(shards);
  }

  // What it is told.

  pause(manifest?: ManifestHash): void {
    this.#paused ||= manifest === undefined;
    for (const model of this.#named(manifest)) model.pause();
    this.#changed();
  }

  resume(manifest?: ManifestHash): void {
    this.#paused &&= manifest !== undefined;
    for (const model of this.#named(manifest)) model.resume();
    this.#find();
    this.#changed();
  }

  setUploadCap(bytesPerSecond: number): void {
    this.#uploadBucket.bytesPerSecond = bytesPerSecond;
  }

  setDownloadLimit(bytesPerSecond: number): void {
    this.#downloadBucket.bytesPerSecond = bytesPerSecond;
    for (const model of this.#models.values()) model.setWindow(this.#windowChunks());
  }

  async delete(manifest: ManifestHash): Promise<void> {
    const model = this.#models.get(manifest);
    this.#models.delete(manifest);
    model?.stop();
    // Who knows us by what we held should not go on believing it.
    if (model !== undefined) for (const exchange of [...this.#exchanges.values()]) exchange.end('not-needed');
    await this.#options.store.drop(manifest);
    this.#changed();
  }

  stop(): void {
    this.#stopped = true;
    for (const stop of this.#stops) stop();
    for (const cancel of this.#cancels.values()) cancel();
    this.#finder.stop();
    for (const model of this.#models.values()) model.stop();
    for (const exchange of [...this.#exchanges.values()]) exchange.end('stopped');
    this.#listeners.clear();
  }

  // Models.

  /** One model, or all. */
  #named(manifest?: ManifestHash): Download[] {
    return [...this.#models.values()].filter((model) => manifest === undefined || model.manifest === manifest);
  }

  #model(manifest: Manifest): Download {
    const hash = this.#hashOf(manifest);
    const known = this.#models.get(hash);
    if (known !== undefined) return known;
    const model = this.#create(hash, manifest);
    void this.#keepFile(hash, protocol.manifestFileName, protocol.encodeManifest(manifest));
    return model;
  }

  #create(hash: ManifestHash, manifest: Manifest): Download {
    const { store, seed, links } = this.#options;
    const model = new Download({
      hash,
      manifest,
      store,
      seed,
      clock: this.#clock,
      random: this.#random,
      self: peerHash(links.self),
      others: () => this.#finder.hashesOf(hash),
      hasTakers: () => [...this.#exchanges.values()].some((each) => each.theyAreInterested),
      arePeersExpected: () => this.#arePeersExpected(hash),
      makeRoom: (bytes) => this.#makeRoom(hash, manifest, bytes),
      onBadBytes: (peer) => this.#ban(peer, 'bad-bytes'),
      onChange: () => this.#changed(),
    });
    model.setWindow(this.#windowChunks());
    if (this.#paused) model.pause();
    this.#models.set(hash, model);
    // What the store holds is told with the first words.
    void model.ready
      .catch(() => undefined)
      .then(() => {
        if (this.#models.get(hash) !== model) return;
        for (const exchange of this.#exchanges.values()) exchange.offer(model);
        this.#find();
        this.#changed();
      });
    return model;
  }

  /** Announced peers are being dialled, or linked so newly that they have not said what they hold. */
  #arePeersExpected(hash: ManifestHash): boolean {
    if (this.#finder.isExpecting(hash)) return true;
    const sinceMs = this.#clock.now() - limits.helloMsMax;
    const model = this.#models.get(hash);
    const isNew = (each: Exchange): boolean => each.openedAtMs > sinceMs && model?.knows(each.peer) !== true;
    return [...this.#exchanges.values()].some(isNew);
  }

  /** What an earlier session kept is given again. */
  async #restore(): Promise<void> {
    for (const { manifest: hash, shards } of await this.#options.store.models()) {
      if (shards.size === 0 || this.#models.size >= protocol.limits.seedsMax || this.#stopped) continue;
      const kept = await this.#keptManifest(hash);
      if (kept !== undefined && !this.#models.has(hash)) this.#create(hash, kept.manifest);
    }
    this.#changed();
  }

  async #keptManifest(hash: ManifestHash): Promise<{ manifest: Manifest; bytes: Uint8Array } | undefined> {
    try {
      const bytes = await this.#options.store.getFile(hash, protocol.manifestFileName);
      if (bytes === undefined) return undefined;
      const manifest = protocol.decodeManifest(bytes, hash);
      this.#hashes.set(manifest, hash);
      return { manifest, bytes };
    } catch {
      // Damaged, or the store fails: it is fetched again.
      return undefined;
    }
  }

  /** A file that finds no room is fetched again the next time. */
  async #keepFile(hash: ManifestHash, name: string, bytes: Uint8Array): Promise<void> {
    await this.#options.store.putFile(hash, name, new Uint8Array(bytes)).catch(() => undefined);
  }

  #hashOf(manifest: Manifest): ManifestHash {
    const hash = this.#hashes.get(manifest) ?? protocol.hashManifest(protocol.encodeManifest(manifest));
    this.#hashes.set(manifest, hash);
    return hash;
  }

  /** One after the other: each makes room for bytes of its own. */
  #makeRoom(hash: ManifestHash, manifest: Manifest, bytes: number): Promise<boolean> {
    const making = this.#makingRoom.then(() => this.#dropLeastWanted(hash, manifest, bytes));
    this.#makingRoom = making.catch(() => undefined);
    return making;
  }

  async #dropLeastWanted(hash: ManifestHash, manifest: Manifest, bytes: number): Promise<boolean> {
    const isWanted: ShardWorth = (model, shard) => (this.#models.get(model)?.isWanted(shard) === true ? 1 : 0);
    const worth = this.#options.worth ?? isWanted;
    const dropped = await freeRoom(this.#options.store, { bytes, forWorth: 1, worth });
    // Where nothing that was held of the model was wanted, its manifest went, too.
    const isEmptied = dropped.some((it) => it.manifest === hash && it.shards === undefined);
    if (isEmptied) await this.#keepFile(hash, protocol.manifestFileName, protocol.encodeManifest(manifest));
    return dropped.length > 0;
  }

  #onStoreChange({ manifest, what, elsewhere }: StoreChange): void {
    const model = this.#models.get(manifest);
    if (model === undefined || (what === 'stored' && !elsewhere)) return;
    this.#soon(`reload ${manifest}`, limits.notifyMs, () => void model.reload().catch(() => undefined));
  }

  // Links.

  #attach(link: Link): void {
    if (this.#taken.has(link)) return;
    this.#taken.add(link);
    const { peer } = link;
    // Weights never travel over a relay.
    if (this.#stopped || link.relayed || this.#bans.has(peer) || !this.#hasRoomFor(peer)) return link.close();
    const earlier = this.#exchanges.get(peer);
    const exchange = new Exchange({
      link,
      clock: this.#clock,
      upload: this.#uploadBucket,
      download: this.#downloadBucket,
      models: this.#models,
      onInterest: () => this.#soon('rechoke', limits.rechokeSoonMs, () => this.#rechoke(false)),
      onSent: (bytes) => {
        this.#bytesSent += bytes;
        this.#sentRate.add(bytes, this.#clock.now());
      },
      onEnd: (ended, reason, by) => this.#onEnd(ended, reason, by),
    });
    this.#exchanges.set(peer, exchange);
    earlier?.end('not-needed');
    this.#changed();
  }

  /** When there are too many links, one that neither side wants anything of makes room. */
  #hasRoomFor(peer: PeerId): boolean {
    if (this.#exchanges.size < limits.exchangesMax || this.#exchanges.has(peer)) return true;
    const idle = [...this.#exchanges.values()].find((each) => !each.theyAreInterested && !each.weAreInterested);
    idle?.end('not-needed');
    return idle !== undefined;
  }

  #onEnd(exchange: Exchange, reason: ByeReason | undefined, by: 'us' | 'them'): void {
    if (this.#exchanges.get(exchange.peer) === exchange) this.#exchanges.delete(exchange.peer);
    if (by === 'us' && (reason === 'bad-frame' || reason === 'flood')) this.#ban(exchange.peer, reason);
    this.#finder.ended(exchange.peer);
    this.#soon('rechoke', limits.rechokeSoonMs, () => this.#rechoke(false));
    this.#find();
    this.#changed();
  }

  #ban(peer: PeerId, reason: UnfedError['code']): void {
    if (!this.#bans.has(peer)) this.#bans.set(peer, reason);
    this.#exchanges.get(peer)?.end('bad-bytes');
    this.#changed();
  }

  #find(): void {
    if (this.#stopped) return;
    const wanting = [...this.#models.values()].filter((model) => !model.isComplete && !model.isPaused);
    this.#finder.find(wanting.map(({ manifest }) => manifest));
    if (wanting.length > 0) this.#soon('find again', limits.findMs, () => this.#find());
  }

  #windowChunks(): number {
    return this.#downloadBucket.isLimited ? limits.windowChunksLimited : limits.windowChunksMax;
  }

  // Who may download.

  #rechokeRound(): void {
    this.#rechoke(true);
    this.#cancels.set(
      'round',
      this.#clock.after(limits.rechokeMs, () => this.#rechokeRound()),
    );
  }

  #rechoke(turns: boolean): void {
    const nowMs = this.#clock.now();
    const peers = [...this.#exchanges.values()].map((exchange) => ({
      id: exchange.peer,
      interested: exchange.theyAreInterested,
      givenBytesPerSecond: exchange.given.bytesPerSecond(nowMs),
      takenBytesPerSecond: exchange.taken.bytesPerSecond(nowMs),
    }));
    const complete = [...this.#models.values()].every((model) => model.isComplete);
    const chosen = this.#choker.choose(peers, { complete, turns, slots: this.#slots() });
    for (const exchange of this.#exchanges.values()) exchange.serve(chosen.has(exchange.peer));
  }

  /** As many as the line was seen to carry lately; before anything was seen, as many as ever. */
  #slots(): number {
    const nowRate = this.#sentRate.bytesPerSecond(this.#clock.now());
    this.#sentPeak = Math.max(nowRate, this.#sentPeak * limits.peakDecay);
    const { bytesPerSecond } = this.#uploadBucket;
    if (this.#sentPeak === 0) return slotsFor(bytesPerSecond);
    return slotsFor(Math.min(Math.max(this.#sentPeak, limits.uploadSlotBytesPerSecond * 2), bytesPerSecond));
  }

  /** Once, a little later, however often it was asked for. */
  #soon(what: string, delayMs: number, run: () => void): void {
    if (this.#cancels.has(what) || this.#stopped) return;
    this.#cancels.set(
      what,
      this.#clock.after(delayMs, () => {
        this.#cancels.delete(what);
        run();
      }),
    );
  }

  #changed(): void {
    this.#soon('change', limits.notifyMs, () => {
      for (const listener of [...this.#listeners]) listener();
    });
  }
}
