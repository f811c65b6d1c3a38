/**
 * A peer in the swarm: exchanges chunks of models with other peers, with an HTTP seed or a folder as one more source, and
 * keeps them in a store. For its readers it is a ShardSource like every other.
 */
import * as protocol from '@unfed/protocol';
import type { Manifest, ManifestFile, ManifestHash, PeerId, ShardId } from '@unfed/protocol';
import { SourceError } from './errors.ts';
import type { Exchange } from './exchange.ts';
import * as limits from './limits.ts';
import { ModelFiles } from './model-files.ts';
import { peerHash } from './origin-turn.ts';
import type { PieceMap } from './piece-map.ts';
import type { ModelProgress } from './progress.ts';
import type { FetchedManifest, ManifestOptions, ShardOptions, SourceOptions } from './shard-source.ts';
import { Soon } from './soon.ts';
import type { Ban, Swarm, SwarmOptions, Upload } from './swarm-contract.ts';
import { systemClock } from './swarm-clock.ts';
import { SwarmLinks } from './swarm-links.ts';
import { SwarmModels } from './swarm-models.ts';
import { TokenBucket } from './token-bucket.ts';
import { UploadTurns } from './upload-turns.ts';
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
  readonly #soon: Soon;
  readonly #files: ModelFiles;
  readonly #models: SwarmModels;
  readonly #links: SwarmLinks;
  readonly #turns: UploadTurns;
  readonly #uploadBucket: TokenBucket;
  readonly #downloadBucket: TokenBucket;
  readonly #listeners = new Set<() => void>();
  readonly #stops: (() => void)[];
  #isStopped = false;

  constructor(options: SwarmOptions) {
    this.#options = options;
    const { links, directory, store, seed, clock = systemClock, random = Math.random } = options;
    this.#soon = new Soon(clock);
    this.#uploadBucket = new TokenBucket(clock);
    this.#downloadBucket = new TokenBucket(clock);
    const { triesMax, backoffMs, backoffMsMax } = limits;
    this.#files = new ModelFiles({
      store,
      clock,
      seed: verifiedSource(seed ?? noFiles, { triesMax, backoffMs, backoffMsMax }),
      manifestOfPeers: (hash, how) => this.#links.manifest(hash, how),
    });
    const onChange = (): void => this.#changed();
    this.#models = new SwarmModels({
      store,
      seed,
      clock,
      random,
      files: this.#files,
      soon: this.#soon,
      worth: options.worth,
      isPrivate: options.isPrivate ?? (() => false),
      self: peerHash(links.self),
      othersOf: (hash) => this.#links.finder.hashesOf(hash),
      hasTakers: () => this.#links.hasTakers,
      sentBytesPerSecond: () => this.#turns.peakBytesPerSecond,
      arePeersExpectedFor: (hash) => this.#arePeersExpected(hash),
      windowChunks: () => (this.#downloadBucket.isLimited ? limits.windowChunksLimited : limits.windowChunksMax),
      onBadBytes: (peer) => this.#links.ban(peer, 'bad-bytes'),
      // What the store holds is told with the first words.
      onReady: (model) => {
        this.#links.offer(model);
        this.#find();
        this.#changed();
      },
      onChange,
    });
    const exchanges = new Map<PeerId, Exchange>();
    this.#turns = new UploadTurns({
      clock,
      random,
      soon: this.#soon,
      upload: this.#uploadBucket,
      exchanges,
      isComplete: () => this.#models.isComplete,
    });
    this.#links = new SwarmLinks({
      links,
      directory,
      clock,
      random,
      isNeighbour: options.isNeighbour ?? (() => false),
      isWanted: (model, shard) => this.#models.byHash.get(model)?.isWanted(shard) === true,
      upload: this.#uploadBucket,
      download: this.#downloadBucket,
      models: this.#models.byHash,
      readManifest: (model, piece) => this.#files.read(model, piece),
      exchanges,
      turns: this.#turns,
      onEnd: () => this.#find(),
      onChange,
    });
    this.#stops = [
      links.accept(protocol.swarmProtocol, (link) => this.#links.attach(link)),
      directory.onChange(() => this.#soon.run('find', limits.notifyMs, () => this.#find())),
      store.onChange((change) => this.#models.onStoreChange(change)),
    ];
    this.#turns.start();
    void this.#models.restore().catch(() => undefined);
  }

  // What it shows.

  get seeds(): readonly ManifestHash[] {
    const exchanged = this.#models.all.filter((model) => model.holdsAny || !model.isComplete);
    return exchanged.map(({ manifest }) => manifest).slice(-protocol.limits.seedsMax);
  }

  get progress(): readonly ModelProgress[] {
    return this.#models.all.map((model) => model.progress);
  }

  get upload(): Upload {
    const { bytesSent, bytesPerSecond } = this.#turns;
    return { bytesSent, bytesPerSecond, peers: this.#links.served };
  }

  get bans(): readonly Ban[] {
    return this.#links.bans;
  }

  get isPaused(): boolean {
    return this.#models.isPaused;
  }

  pieceMap(manifest: ManifestHash): PieceMap | undefined {
    return this.#models.byHash.get(manifest)?.pieceMap();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  // The source.

  manifest(hash: ManifestHash, options: ManifestOptions = {}): Promise<FetchedManifest> {
    return this.#files.manifest(hash, options);
  }

  file(manifest: Manifest, file: ManifestFile, options: SourceOptions = {}): Promise<Uint8Array> {
    return this.#files.file(manifest, file, options);
  }

  async shard(manifest: Manifest, id: ShardId, options: ShardOptions = {}): Promise<Uint8Array> {
    options.signal?.throwIfAborted();
    protocol.shardEntry(manifest, id);
    return this.#models.of(manifest).shard(id, options);
  }

  async want(manifest: Manifest, shards: readonly ShardId[]): Promise<void> {
    const model = this.#models.of(manifest);
    await model.ready;
    model.want(shards);
    this.#find();
  }

  unwant(manifest: Manifest, shards: readonly ShardId[]): void {
    this.#models.byHash.get(this.#files.hashOf(manifest))?.unwant(shards);
  }

  // What it is told.

  pause(manifest?: ManifestHash): void {
    this.#models.pause(manifest);
    this.#changed();
  }

  resume(manifest?: ManifestHash): void {
    this.#models.resume(manifest);
    this.#find();
    this.#changed();
  }

  setUploadCap(bytesPerSecond: number): void {
    this.#uploadBucket.bytesPerSecond = bytesPerSecond;
  }

  setDownloadLimit(bytesPerSecond: number): void {
    this.#downloadBucket.bytesPerSecond = bytesPerSecond;
    this.#models.setWindow();
  }

  async delete(manifest: ManifestHash): Promise<void> {
    // Who knows us by what we held should not go on believing it.
    if (this.#models.remove(manifest)) this.#links.endAll('not-needed');
    await this.#options.store.drop(manifest);
    this.#changed();
  }

  stop(): void {
    this.#isStopped = true;
    for (const stop of this.#stops) stop();
    this.#soon.stop();
    this.#models.stop();
    this.#links.stop();
    this.#listeners.clear();
  }

  #arePeersExpected(hash: ManifestHash): boolean {
    const model = this.#models.byHash.get(hash);
    return this.#links.isExpecting(hash, (peer) => model?.knows(peer) === true);
  }

  /** Looks for peers of what is missing, and again later while something is. */
  #find(): void {
    if (this.#isStopped) return;
    const wanting = this.#models.all.filter((model) => !model.isComplete && !model.isPaused);
    this.#links.finder.find(wanting.map(({ manifest }) => manifest));
    if (wanting.length > 0) this.#soon.run('find again', limits.findMs, () => this.#find());
  }

  #changed(): void {
    this.#soon.run('change', limits.notifyMs, () => {
      for (const listener of [...this.#listeners]) listener();
    });
  }
}
