/** Finds and dials the peers that a model is exchanged with, from what is announced; a bounded number, others by turns. */
import { spanShards, swarmProtocol, type Announcement, type Directory, type Link, type Links } from '@unfed/protocol';
import type { ManifestHash, PeerId, ShardId } from '@unfed/protocol';
import * as limits from './limits.ts';
import { peerHash } from './origin-turn.ts';
import type { SwarmClock } from './swarm-clock.ts';

export interface NeighbourFinderParts {
  readonly links: Links;
  readonly directory: Directory;
  readonly clock: SwarmClock;
  readonly random: () => number;
  readonly isNeighbour: (peer: PeerId) => boolean;
  /** Something of a shard is wanted here. */
  readonly isWanted: (model: ManifestHash, shard: ShardId) => boolean;
  readonly isRefused: (peer: PeerId) => boolean;
  /** A link of the exchange is there. */
  readonly has: (peer: PeerId) => boolean;
  readonly onLink: (link: Link) => void;
}

interface Attempts {
  readonly notBeforeMs: number;
  readonly failures: number;
}

export class NeighbourFinder {
  readonly #parts: NeighbourFinderParts;
  readonly #dialling = new Set<PeerId>();
  readonly #attempts = new Map<PeerId, Attempts>();
  readonly #hashes = new Map<PeerId, number>();
  readonly #abort = new AbortController();

  constructor(parts: NeighbourFinderParts) {
    this.#parts = parts;
  }

  /** Dials peers that exchange one of these models, as long as there are too few. */
  find(models: readonly ManifestHash[]): void {
    for (const model of models) {
      const candidates = this.#candidates(model);
      const linked = this.#announced(model).filter(({ peer }) => this.#parts.has(peer)).length;
      const wanted = limits.neighboursDialledMax - linked - this.#dialling.size;
      const free = limits.dialsMax - this.#dialling.size;
      for (const announcement of candidates.slice(0, Math.max(0, Math.min(wanted, free))))
        void this.#dial(announcement);
    }
  }

  /** Announced peers of a model are being dialled, or could be. */
  isExpecting(model: ManifestHash): boolean {
    if (this.#announced(model).some(({ peer }) => this.#dialling.has(peer))) return true;
    return this.#candidates(model).length > 0;
  }

  /** Numbers of all others that may want something of a model: who serves layers of it has what it wanted. */
  hashesOf(model: ManifestHash): number[] {
    return this.#announced(model)
      .filter(({ stage }) => stage?.manifest !== model)
      .map(({ peer }) => {
        const hash = this.#hashes.get(peer) ?? peerHash(peer);
        this.#hashes.set(peer, hash);
        return hash;
      });
  }

  /** The link to a peer ended: it is not dialled again at once. */
  ended(peer: PeerId): void {
    this.#rest(peer);
  }

  stop(): void {
    this.#abort.abort(new Error('the swarm was stopped'));
  }

  #announced(model: ManifestHash): Announcement[] {
    const { links, directory, isRefused } = this.#parts;
    return directory
      .announcements()
      .filter(({ peer, seeds }) => peer !== links.self && seeds.includes(model) && !isRefused(peer));
  }

  /** In random order; neighbours in a circuit late, and last who serves other layers than are wanted here. */
  #candidates(model: ManifestHash): Announcement[] {
    const { clock, has, isNeighbour, random } = this.#parts;
    const nowMs = clock.now();
    return this.#announced(model)
      .filter(({ peer }) => !has(peer) && !this.#dialling.has(peer))
      .filter(({ peer }) => (this.#attempts.get(peer)?.notBeforeMs ?? -Infinity) <= nowMs)
      .map((announcement) => {
        const late = (isNeighbour(announcement.peer) ? 1 : 0) + (this.#servesOthers(model, announcement) ? 2 : 0);
        return { announcement, place: late + random() };
      })
      .sort((a, b) => a.place - b.place)
      .map(({ announcement }) => announcement);
  }

  /** It may hold more than it serves, and what others hold is not announced: it comes last, and is not left out. */
  #servesOthers(model: ManifestHash, { stage }: Announcement): boolean {
    if (stage?.manifest !== model) return false;
    return !spanShards(stage.span).some((shard) => this.#parts.isWanted(model, shard));
  }

  async #dial({ peer, addresses }: Announcement): Promise<void> {
    const { links, onLink } = this.#parts;
    this.#dialling.add(peer);
    try {
      const link = await links.open(peer, swarmProtocol, { addresses, signal: this.#abort.signal });
      this.#attempts.delete(peer);
      if (link.relayed) this.#rest(peer);
      onLink(link);
    } catch {
      // It left, or cannot be reached: others can.
      this.#rest(peer);
    } finally {
      this.#dialling.delete(peer);
    }
  }

  #rest(peer: PeerId): void {
    const failures = this.#attempts.get(peer)?.failures ?? 0;
    const waitMs = Math.min(limits.redialMs * 2 ** failures, limits.redialMsMax);
    this.#attempts.set(peer, { notBeforeMs: this.#parts.clock.now() + waitMs, failures: failures + 1 });
  }
}
