/**
 * The directory as one peer sees it: follows every relay's, verifies each announcement itself, drops the expired, keeps
 * its own announced. When a relay dies, what it said stays until it expires (SPEC.md, A rules).
 */
import {
  decodeDirectoryFrame,
  directoryProtocol,
  encodeDirectoryFrame,
  isExpired,
  limits as protocolLimits,
  networkGroupOf,
  openAnnouncement,
  type Announcement,
  type DirectoryFrame,
  type Link,
  type Links,
  type ListedAnnouncement,
  type Listing,
  type ListingDirectory,
  type NetworkGroup,
  type PeerId,
} from '@unfed/protocol';
import { backOffMs, delay } from './event-wait.ts';
import * as limits from './limits.ts';
import { Listeners } from './listeners.ts';

export interface DirectoryFollowerInit {
  readonly links: Links;
  /** A relay says that this peer has left. */
  readonly onRemoved?: (peer: PeerId) => void;
  /** ms since 1970. */
  readonly now?: () => number;
}

/** What one relay says of one peer. */
interface Entry {
  readonly announcement: Announcement;
  readonly networkGroup: NetworkGroup;
  readonly listedMs: number;
}

export class DirectoryFollower implements ListingDirectory {
  readonly #links: Links;
  readonly #onRemoved: (peer: PeerId) => void;
  readonly #now: () => number;
  readonly #byRelay = new Map<PeerId, Map<PeerId, Entry>>();
  readonly #open = new Set<Link>();
  readonly #listeners = new Listeners();
  readonly #sweeper: ReturnType<typeof setInterval>;
  #merged: readonly Announcement[] | undefined;
  #own: Uint8Array | null = null;
  #sending: ReturnType<typeof setTimeout> | undefined;
  #sentAtMs = -Infinity;

  constructor({ links, onRemoved = () => undefined, now = Date.now }: DirectoryFollowerInit) {
    this.#links = links;
    this.#onRemoved = onRemoved;
    this.#now = now;
    this.#sweeper = setInterval(() => this.sweep(), limits.directorySweepMs);
  }

  get whole(): boolean {
    return this.#byRelay.size > 0;
  }

  announcements(): readonly Announcement[] {
    this.#merged ??= this.#merge();
    return this.#merged;
  }

  listing(peer: PeerId): Listing {
    const entries = [...this.#byRelay.values()].flatMap((peers) => peers.get(peer) ?? []);
    return {
      networkGroups: entries.map(({ networkGroup }) => networkGroup),
      listedMs: Math.max(0, ...entries.map(({ listedMs }) => listedMs)),
    };
  }

  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  /**
   * Keeps these signed bytes announced at every relay, also after reconnecting; null withdraws. The newest call wins;
   * calls in quick succession travel as one.
   */
  announce(envelope: Uint8Array | null): void {
    this.#own = envelope;
    if (this.#sending !== undefined) return;
    const waitMs = Math.max(0, this.#sentAtMs + limits.announceIntervalMs - performance.now());
    this.#sending = setTimeout(() => {
      this.#sending = undefined;
      this.#sentAtMs = performance.now();
      for (const link of this.#open) this.#sendOwn(link);
    }, waitMs);
  }

  /** Follows the directory of this relay until the signal ends; tries again when the link breaks. */
  async follow(relay: PeerId, signal: AbortSignal): Promise<void> {
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        const link = await this.#links.open(relay, directoryProtocol, { signal });
        attempt = 0;
        this.#attach(link);
        await link.closed;
      } catch {
        // The relay's state, which people see, is that of its connection; here it is only tried again.
      }
      const waitMs = backOffMs(attempt, limits.relayRetryFirstMs, limits.relayRetryMaxMs);
      await delay(waitMs, signal).catch(() => undefined);
    }
  }

  /** Drops what has expired; called every second. */
  sweep(): void {
    let dropped = false;
    for (const peers of this.#byRelay.values()) {
      for (const [peer, { announcement }] of peers) {
        if (isExpired(announcement, this.#now())) dropped = peers.delete(peer) || dropped;
      }
    }
    if (dropped) this.#changed();
  }

  stop(): void {
    clearInterval(this.#sweeper);
    clearTimeout(this.#sending);
    for (const link of this.#open) link.close();
  }

  #attach(link: Link): void {
    this.#open.add(link);
    void link.closed.then(() => this.#open.delete(link));
    link.onFrame((frame) => this.#apply(link.peer, decodeDirectoryFrame(frame)));
    this.#send(link, { kind: 'follow' });
    if (this.#own !== null) this.#sendOwn(link);
  }

  #sendOwn(link: Link): void {
    this.#send(link, this.#own === null ? { kind: 'withdraw' } : { kind: 'announce', announcement: this.#own });
  }

  #send(link: Link, frame: DirectoryFrame): void {
    // A send that fails ends the link; following it again sends all this again.
    link.send(encodeDirectoryFrame(frame)).catch(() => link.close());
  }

  #apply(relay: PeerId, frame: DirectoryFrame): void {
    if (frame.kind !== 'changed') return;
    const held = frame.whole ? undefined : this.#byRelay.get(relay);
    const peers = held ?? new Map<PeerId, Entry>();
    this.#byRelay.set(relay, peers);
    for (const listed of frame.added) {
      const entry = this.#verified(relay, listed);
      if (entry !== undefined && peers.size < protocolLimits.directoryAnnouncementsMax)
        peers.set(entry.announcement.peer, entry);
    }
    for (const peer of frame.removed) peers.delete(peer);
    this.#changed();
    for (const peer of frame.removed) this.#onRemoved(peer);
  }

  /** A relay cannot forge; one that sends what is not signed, or old, only has that part ignored. */
  #verified(relay: PeerId, { announcement, networkGroup, listedMs }: ListedAnnouncement): Entry | undefined {
    try {
      const opened = openAnnouncement(announcement, this.#now());
      return { announcement: opened, networkGroup: networkGroupOf(relay, networkGroup), listedMs };
    } catch {
      return undefined;
    }
  }

  #merge(): Announcement[] {
    const newest = new Map<PeerId, Announcement>();
    for (const peers of this.#byRelay.values()) {
      for (const { announcement } of peers.values()) {
        const other = newest.get(announcement.peer);
        if (other === undefined || other.issuedAtMs < announcement.issuedAtMs) {
          newest.set(announcement.peer, announcement);
        }
      }
    }
    return [...newest.values()];
  }

  #changed(): void {
    this.#merged = undefined;
    this.#listeners.call();
  }
}
