/** The links of the exchange: one a peer, at most so many; who is found and dialled, and who is banned. */
import type { Link, ManifestHash, PeerId, UnfedError } from '@unfed/protocol';
import { Exchange } from './exchange.ts';
import type { ByeReason } from './exchange-frames.ts';
import type { ExchangedModel } from './exchanged-model.ts';
import * as limits from './limits.ts';
import type { ReadManifest } from './manifest-exchange.ts';
import { NeighbourFinder, type NeighbourFinderParts } from './neighbour-finder.ts';
import { PeerManifests, type PeerManifestOptions } from './peer-manifests.ts';
import type { FetchedManifest } from './shard-source.ts';
import type { Ban } from './swarm-contract.ts';
import type { TokenBucket } from './token-bucket.ts';
import type { UploadTurns } from './upload-turns.ts';

export interface SwarmLinksParts extends Omit<NeighbourFinderParts, 'isRefused' | 'has' | 'onLink'> {
  readonly upload: TokenBucket;
  readonly download: TokenBucket;
  readonly models: ReadonlyMap<ManifestHash, ExchangedModel>;
  readonly readManifest: ReadManifest;
  /** Shared with `turns`. */
  readonly exchanges: Map<PeerId, Exchange>;
  readonly turns: UploadTurns;
  /** A link ended: others may be looked for. */
  readonly onEnd: () => void;
  readonly onChange: () => void;
}

export class SwarmLinks {
  readonly finder: NeighbourFinder;
  readonly #parts: SwarmLinksParts;
  readonly #exchanges: Map<PeerId, Exchange>;
  readonly #manifests: PeerManifests;
  readonly #taken = new WeakSet<Link>();
  readonly #bans = new Map<PeerId, string>();
  #isStopped = false;

  constructor(parts: SwarmLinksParts) {
    this.#parts = parts;
    this.#exchanges = parts.exchanges;
    this.finder = new NeighbourFinder({
      ...parts,
      isRefused: (peer) => this.#bans.has(peer),
      has: (peer) => this.#exchanges.has(peer),
      onLink: (link) => this.attach(link),
    });
    this.#manifests = new PeerManifests({
      clock: parts.clock,
      exchanges: this.#exchanges,
      find: (model) => this.finder.find([model]),
      isExpecting: (model) => this.isExpecting(model, (peer) => this.#exchanges.get(peer)?.names(model) === true),
      ban: (peer, reason) => this.ban(peer, reason),
    });
  }

  get bans(): readonly Ban[] {
    return [...this.#bans].map(([peer, reason]) => ({ peer, reason }));
  }

  /** Peers that may download from us now. */
  get served(): number {
    return [...this.#exchanges.values()].filter((exchange) => exchange.isServing).length;
  }

  /** Peers want something that we hold. */
  get hasTakers(): boolean {
    return [...this.#exchanges.values()].some((each) => each.theyAreInterested);
  }

  /** Announced peers are being dialled, or linked so newly that they have not said what they hold. */
  isExpecting(model: ManifestHash, knows: (peer: PeerId) => boolean): boolean {
    if (this.finder.isExpecting(model)) return true;
    const sinceMs = this.#parts.clock.now() - limits.helloMsMax;
    return [...this.#exchanges.values()].some((each) => each.openedAtMs > sinceMs && !knows(each.peer));
  }

  /** Asks the peers that exchange a model. @throws as PeerManifests.fetch does */
  manifest(model: ManifestHash, options: PeerManifestOptions): Promise<FetchedManifest> {
    return this.#manifests.fetch(model, options);
  }

  /** A link that somebody opened, from either side. */
  attach(link: Link): void {
    if (this.#taken.has(link)) return;
    this.#taken.add(link);
    const { peer } = link;
    // Weights never travel over a relay.
    if (this.#isStopped || link.relayed || this.#bans.has(peer) || !this.#hasRoomFor(peer)) return link.close();
    const earlier = this.#exchanges.get(peer);
    const { clock, upload, download, models, readManifest, turns, onChange } = this.#parts;
    const exchange = new Exchange({
      link,
      clock,
      upload,
      download,
      models,
      readManifest,
      onInterest: () => turns.lookSoon(),
      onSent: (bytes) => turns.sent(bytes),
      onEnd: (ended, reason, by) => this.#onEnd(ended, reason, by),
    });
    this.#exchanges.set(peer, exchange);
    earlier?.end('not-needed');
    onChange();
  }

  /** Says to all peers that we exchange a model. */
  offer(model: ExchangedModel): void {
    for (const exchange of this.#exchanges.values()) exchange.offer(model);
  }

  ban(peer: PeerId, reason: UnfedError['code']): void {
    if (!this.#bans.has(peer)) this.#bans.set(peer, reason);
    this.#exchanges.get(peer)?.end('bad-bytes');
    this.#parts.onChange();
  }

  endAll(reason: ByeReason): void {
    for (const exchange of [...this.#exchanges.values()]) exchange.end(reason);
  }

  stop(): void {
    this.#isStopped = true;
    this.finder.stop();
    this.endAll('stopped');
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
    if (by === 'us' && (reason === 'bad-frame' || reason === 'flood')) this.ban(exchange.peer, reason);
    this.finder.ended(exchange.peer);
    this.#parts.turns.lookSoon();
    this.#parts.onEnd();
    this.#parts.onChange();
  }
}
