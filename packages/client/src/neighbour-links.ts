/**
 * Keeps links to likely neighbours open before any circuit needs them: a relay that introduces two peers at the moment in
 * which a circuit is built could put the circuit together from its introductions. Which ones is drawn once a process, so
 * that nobody can choose to be the neighbour of a given peer.
 */
import type { Announcement, Link, LinkOptions, ListingDirectory, PeerId, StageOffer } from '@unfed/protocol';
import { areKin, kinLabels } from './hop-kin.ts';
import * as limits from './limits.ts';

export interface NeighbourLinksInit {
  readonly self: PeerId;
  readonly directory: ListingDirectory;
  /** Peers of one operator or network are allowed in one circuit, as on one machine. */
  readonly local: boolean;
  /** Opens a link of the circuit protocol, or gives the one that is there. */
  readonly open: (peer: PeerId, options: LinkOptions) => Promise<Link>;
  /** In [0, 1). */
  readonly random?: () => number;
}

export interface NeighbourLinks {
  /** Peers with which a link was opened here and still is. */
  readonly peers: readonly PeerId[];
  /** Opens no more. What is open may carry circuits, and stays. */
  stop(): void;
}

/** Begins at once, and goes on as the directory changes. */
export function keepNeighbourLinks(init: NeighbourLinksInit): NeighbourLinks {
  return new Keeper(init);
}

class Keeper implements NeighbourLinks {
  readonly #init: NeighbourLinksInit;
  readonly #open = new Map<PeerId, Link>();
  /** When a peer that could not be reached is tried again. */
  readonly #retryAtMs = new Map<PeerId, number>();
  readonly #opening = new Set<PeerId>();
  readonly #ranks = new Map<PeerId, number>();
  readonly #abort = new AbortController();
  readonly #unlisten: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(init: NeighbourLinksInit) {
    this.#init = init;
    this.#unlisten = init.directory.onChange(() => {
      this.#timer ??= setTimeout(() => this.#look(), limits.neighboursEveryMs);
    });
    this.#timer = setTimeout(() => this.#look(), 0);
  }

  get peers(): readonly PeerId[] {
    return [...this.#open.keys()];
  }

  stop(): void {
    this.#unlisten();
    clearTimeout(this.#timer);
    this.#abort.abort(new Error('no neighbours are needed any more'));
  }

  #look(): void {
    this.#timer = undefined;
    const announcements = this.#init.directory.announcements().filter(({ hopKeys }) => hopKeys.length > 0);
    const own = announcements.find(({ peer }) => peer === this.#init.self);
    if (own === undefined) return;
    this.#forget(announcements);
    const kin = this.#kinOf(own);
    const others = announcements.filter(
      (other) => other !== own && this.#mayTry(other.peer) && !areKin(kin, this.#kinOf(other)),
    );
    const behind = this.#first(
      others.filter((other) => continues(own.stage, other.stage)),
      limits.neighbourStagesMax,
    );
    const rest = others.filter(({ peer }) => !behind.includes(peer));
    for (const peer of [...behind, ...this.#first(rest, limits.neighbourForwardersMax)]) {
      const announcement = others.find((other) => other.peer === peer);
      if (announcement !== undefined && !this.#open.has(peer)) void this.#link(announcement);
    }
  }

  /** Those with a link before others, so that a newcomer breaks none up; then by lot. */
  #first(announcements: readonly Announcement[], count: number): PeerId[] {
    const rank = (peer: PeerId): number => (this.#open.has(peer) ? -1 : (this.#ranks.get(peer) ?? 0));
    for (const { peer } of announcements) if (!this.#ranks.has(peer)) this.#ranks.set(peer, this.#draw());
    const peers = announcements.map(({ peer }) => peer).sort((a, b) => rank(a) - rank(b));
    return peers.slice(0, count);
  }

  #kinOf(announcement: Announcement): readonly string[] {
    return kinLabels(announcement, this.#init.directory.listing(announcement.peer), this.#init.local);
  }

  #draw(): number {
    return (this.#init.random ?? Math.random)();
  }

  #mayTry(peer: PeerId): boolean {
    return this.#open.has(peer) || performance.now() >= (this.#retryAtMs.get(peer) ?? -Infinity);
  }

  /** Lots and waits of those who left. */
  #forget(announcements: readonly Announcement[]): void {
    const here = new Set(announcements.map(({ peer }) => peer));
    for (const map of [this.#ranks, this.#retryAtMs])
      for (const peer of map.keys()) if (!here.has(peer)) map.delete(peer);
  }

  async #link({ peer, addresses }: Announcement): Promise<void> {
    if (this.#opening.has(peer) || this.#open.size + this.#opening.size >= limits.neighbourLinksMax) return;
    this.#opening.add(peer);
    // Whatever comes of it, it is not tried again and again.
    this.#retryAtMs.set(peer, performance.now() + limits.neighbourRetryMs);
    try {
      const link = await this.#init.open(peer, { addresses, signal: this.#abort.signal });
      this.#open.set(peer, link);
      void link.closed.then(() => this.#open.delete(peer));
    } catch {
      // Another is tried as soon as the directory changes; it does so with every announcement.
    } finally {
      this.#opening.delete(peer);
    }
  }
}

/** Whether circuits go on from the one to the other: behind a span, or from a forwarder to the first layers. */
function continues(own: StageOffer | null, next: StageOffer | null): boolean {
  if (next === null) return false;
  if (own === null) return next.span.first === 0;
  return next.manifest === own.manifest && next.span.first === own.span.last;
}
