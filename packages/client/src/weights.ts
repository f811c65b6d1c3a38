/**
 * The chunks of models on this machine. The store is open as long as the peer; the swarm runs only while somebody
 * donates here, because whoever exchanges chunks is seen by others: a page that only asks stays out of it, and what it
 * keeps is never shown to them.
 */
import type { Network } from '@unfed/network';
import { embeddingShard, headShard, spanText } from '@unfed/protocol';
import type { Manifest, ManifestHash, PeerId, ShardId, Span } from '@unfed/protocol';
import { collectModels, createSwarm, keepingSource, withPublishers } from '@unfed/swarm';
import type { ChunkStore, Keeping, KeepingSource, RawFiles, ShardSource, Swarm } from '@unfed/swarm';
import type { Announcer } from './announcer.ts';
import { BandwidthShare } from './bandwidth-share.ts';
import { directoryReady } from './directory-ready.ts';
import { fetchSpan, type FetchedSpan, type SpanFetch } from './fetch-span.ts';
import { keptModels, type KeptModel } from './kept-models.ts';
import * as limits from './limits.ts';
import type { WeightCaps, Weights } from './peer.ts';
import type { OpenedStore } from './platform.ts';
import { weightsView } from './weights-view.ts';

export interface WeightsParts {
  readonly network: Network;
  readonly announcer: Pick<Announcer, 'exchange'>;
  readonly seed: RawFiles;
  /** The same seed, verified, for those who ask without a store that lasts. */
  readonly seedSource: ShardSource;
  readonly openStore: () => Promise<OpenedStore>;
  readonly askToKeep: () => Promise<Keeping>;
  /** Where a pool names one. */
  readonly publisherOf: (manifest: ManifestHash) => PeerId | undefined;
  readonly isNeighbour: (peer: PeerId) => boolean;
  /** Steps of answers need the line now. */
  readonly isBusy: () => boolean;
  readonly nameOf: (manifest: ManifestHash) => string;
  /** Models that somebody here knows of: chunks of all others are collected when a donation starts. */
  readonly knownModels: () => Iterable<ManifestHash>;
  readonly onChange: () => void;
}

/** What a donation does with the weights. */
export interface DonationWeights {
  /** Joins the swarm, or stays in it. @throws StoreError, the signal's reason */
  join(manifest: ManifestHash, signal: AbortSignal): Promise<ShardSource>;
  /** Brings a span into the store. @throws what fetchSpan throws */
  fetch(wanted: Pick<SpanFetch, 'hash' | 'manifest' | 'span' | 'signal' | 'onProgress'>): Promise<Span>;
  /** Leaves the swarm. What is stored stays. */
  leave(): void;
}

export interface PeerWeights extends Weights, DonationWeights {
  /** For asking: from the store and the seed, never from peers. */
  readonly source: ShardSource;
  /** Looks at once whether the line is needed. */
  shareLine(): void;
  stop(): Promise<void>;
}

export function createWeights(parts: WeightsParts): PeerWeights {
  return new StoredWeights(parts);
}

class StoredWeights implements PeerWeights {
  readonly #parts: WeightsParts;
  readonly source: ShardSource;
  readonly #opening: Promise<OpenedStore>;
  readonly #download = new BandwidthShare();
  readonly #upload = new BandwidthShare();
  #caps: WeightCaps = {};
  #opened: OpenedStore | undefined;
  #swarm: Swarm | undefined;
  #keeping: KeepingSource | undefined;
  #stored: readonly KeptModel[] = [];
  readonly #manifests = new Map<ManifestHash, Manifest>();
  #kept: Keeping = 'unknown';
  #uploadedBytesBefore = 0;
  #note = '';
  #ticking: ReturnType<typeof setInterval> | undefined;
  #counting: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(parts: WeightsParts) {
    this.#parts = parts;
    this.#opening = this.#open();
    // Whoever joins hears of it; who asks needs no store.
    this.#opening.catch(() => undefined);
    this.source = lateSource(this.#opening.then((opened) => this.#sourceOver(opened)).catch(() => parts.seedSource));
  }

  get view() {
    const { nameOf } = this.#parts;
    const { store, note = '' } = this.#opened ?? {};
    return weightsView({
      swarm: this.#swarm,
      stored: this.#stored,
      usedBytes: store?.usedBytes ?? 0,
      capBytes: store?.capBytes ?? this.#caps.storeBytes ?? 0,
      kept: this.#kept,
      uploadedBytesBefore: this.#uploadedBytesBefore,
      note: this.#note === '' ? note : this.#note,
      nameOf,
    });
  }

  pause(manifest: ManifestHash): void {
    this.#swarm?.pause(manifest);
  }

  resume(manifest: ManifestHash): void {
    this.#swarm?.resume(manifest);
  }

  async delete(manifest: ManifestHash): Promise<void> {
    const { store } = await this.#opening;
    if (this.#swarm === undefined) await store.drop(manifest);
    else await this.#swarm.delete(manifest);
    this.#countSoon();
  }

  setCaps(caps: WeightCaps): void {
    this.#caps = { ...this.#caps, ...caps };
    this.#applyCaps();
    this.#parts.onChange();
  }

  async join(manifest: ManifestHash, signal: AbortSignal): Promise<ShardSource> {
    return withPublishers(await this.#join(manifest, signal), this.#parts.publisherOf);
  }

  async fetch(wanted: Pick<SpanFetch, 'hash' | 'manifest' | 'span' | 'signal' | 'onProgress'>): Promise<Span> {
    const { store, durable } = await this.#opening;
    const swarm = await this.#join(wanted.hash, wanted.signal);
    const fetched = await fetchSpan({ ...wanted, swarm, store, durable });
    this.#note = noteOf(wanted.span, fetched, durable);
    return fetched.span;
  }

  leave(): void {
    const swarm = this.#swarm;
    if (swarm === undefined) return;
    this.#swarm = undefined;
    this.#uploadedBytesBefore += swarm.upload.bytesSent;
    clearInterval(this.#ticking);
    this.#parts.announcer.exchange([]);
    swarm.stop();
    // What it showed of its models is now to be read from the store.
    this.#countSoon();
    this.#parts.onChange();
  }

  shareLine(): void {
    const swarm = this.#swarm;
    if (swarm === undefined) return;
    const isBusy = this.#parts.isBusy();
    this.#download.update(
      isBusy,
      swarm.progress.reduce((sum, { bytesPerSecond }) => sum + bytesPerSecond, 0),
    );
    this.#upload.update(isBusy, swarm.upload.bytesPerSecond);
    this.#applyCaps();
  }

  async stop(): Promise<void> {
    this.leave();
    this.#stopped = true;
    clearTimeout(this.#counting);
    const opened = await this.#opening.catch(() => undefined);
    this.#keeping?.stop();
    await opened?.store.close();
  }

  async #open(): Promise<OpenedStore> {
    const opened = await this.#parts.openStore();
    this.#opened = opened;
    this.#applyCaps();
    opened.store.onChange(() => this.#countSoon());
    this.#countSoon();
    return opened;
  }

  async #join(manifest: ManifestHash, signal: AbortSignal): Promise<Swarm> {
    const { store } = await this.#opening;
    signal.throwIfAborted();
    void this.#parts.askToKeep().then((kept) => {
      this.#kept = kept;
      this.#parts.onChange();
    });
    await collectModels(store, new Set([manifest, ...this.#parts.knownModels()]));
    // Whoever left meanwhile is not brought back.
    signal.throwIfAborted();
    this.#note = '';
    const swarm = (this.#swarm ??= this.#begin(store));
    // Peers that are not known yet would not be waited for, and the seed asked in their place.
    await directoryReady(this.#parts.network, signal).catch(() => signal.throwIfAborted());
    return swarm;
  }

  /** What is fetched for asking is kept where it outlives this page: memory is for the engine. */
  #sourceOver({ store, durable }: OpenedStore): ShardSource {
    const { seed, seedSource, publisherOf } = this.#parts;
    if (!durable) return seedSource;
    const keeping = keepingSource({ store, seed });
    this.#keeping = keeping;
    // Layers fetched for asking could not be told from those that are served, neither here nor by other peers.
    const shard: ShardSource['shard'] = (...of) => (isPrivate(of[1]) ? keeping : seedSource).shard(...of);
    return { ...withPublishers(keeping, publisherOf), shard };
  }

  #begin(store: ChunkStore): Swarm {
    const { network, seed, isNeighbour, announcer, onChange } = this.#parts;
    const { directory } = network;
    const swarm = createSwarm({ links: network, directory, store, seed, isNeighbour, isPrivate });
    const tell = (): void => {
      if (this.#swarm === swarm) announcer.exchange(swarm.seeds);
      onChange();
    };
    swarm.onChange(tell);
    this.#ticking = setInterval(() => {
      this.shareLine();
      tell();
    }, limits.weightsTickMs);
    this.#applyCaps(swarm);
    return swarm;
  }

  #applyCaps(swarm = this.#swarm): void {
    const { storeBytes, uploadBytesPerSecond = Infinity } = this.#caps;
    if (storeBytes !== undefined && this.#opened !== undefined) {
      const { store, durable } = this.#opened;
      // Memory is lent up to a number of ours, whatever the person gives of the disk.
      store.capBytes = durable ? storeBytes : Math.min(storeBytes, limits.memoryStoreBytesMax);
    }
    swarm?.setDownloadLimit(this.#download.bytesPerSecond);
    swarm?.setUploadCap(Math.min(uploadBytesPerSecond, this.#upload.bytesPerSecond));
  }

  #countSoon(): void {
    if (this.#stopped) return;
    this.#counting ??= setTimeout(() => void this.#count(), limits.weightsCountMs);
  }

  async #count(): Promise<void> {
    this.#counting = undefined;
    if (this.#opened === undefined) return;
    const isExchanged = (hash: ManifestHash): boolean => this.#swarm?.pieceMap(hash) !== undefined;
    this.#stored = await keptModels(this.#opened.store, isExchanged, this.#manifests).catch(() => this.#stored);
    this.#parts.onChange();
  }
}

function lateSource(source: Promise<ShardSource>): ShardSource {
  return {
    manifest: async (hash, options) => (await source).manifest(hash, options),
    file: async (manifest, file, options) => (await source).file(manifest, file, options),
    shard: async (manifest, id, options) => (await source).shard(manifest, id, options),
  };
}

/** The ends serve nobody else: who holds them asks this model. */
function isPrivate(shard: ShardId): boolean {
  return shard === embeddingShard || shard === headShard;
}

/** @returns a sentence where less is kept or served than was wanted; empty else */
function noteOf(wanted: Span, { span, kept }: FetchedSpan, durable: boolean): string {
  if (kept || !durable) {
    if (span.last === wanted.last) return '';
    const [less, all] = [spanText(span), spanText(wanted)];
    return `There is no room on the disk for layers ${all}: ${less} are served instead. Allow more, or delete a model.`;
  }
  return `There is no room on the disk even for layer ${spanText(span)}: it is served, and fetched anew the next time.`;
}
