/** A directory in memory: signed announcements, verified by everyone who reads them, as with a relay's. */
import { InvalidValueError, isExpired, openAnnouncement } from '@unfed/protocol';
import { limits, type Announcement, type Directory, type PeerId } from '@unfed/protocol';
import type { Clock } from './clock.ts';

/** What one peer sees of the directory, and its door to announce itself. */
export interface MemoryDirectory extends Directory {
  /**
   * @param envelope a signed announcement of this peer; null withdraws
   * @throws DecodeError, SignatureError, InvalidValueError (another peer's)
   */
  announce(envelope: Uint8Array | null): void;
  withdraw(): void;
}

/** Everything that is announced, and who follows it. */
export class MemoryDirectoryServer {
  readonly #clock: Clock;
  readonly #delayMs: number;
  readonly #envelopes = new Map<PeerId, Uint8Array>();
  readonly #views = new Map<PeerId, DirectoryView>();

  constructor(clock: Clock, delayMs: number) {
    this.#clock = clock;
    this.#delayMs = delayMs;
  }

  view(peer: PeerId): MemoryDirectory {
    const known = this.#views.get(peer);
    if (known !== undefined) return known;
    const view = new DirectoryView(peer, this.#clock, (envelope) => this.#publish(peer, envelope));
    this.#views.set(peer, view);
    for (const envelope of this.#envelopes.values()) view.take(envelope);
    return view;
  }

  /** The peer is gone: it is no longer listed, and follows no more. */
  leave(peer: PeerId): void {
    this.#views.get(peer)?.stop();
    this.#views.delete(peer);
    this.#publish(peer, null);
  }

  stop(): void {
    for (const view of this.#views.values()) view.stop();
    this.#views.clear();
  }

  #publish(peer: PeerId, envelope: Uint8Array | null): void {
    if (envelope === null) {
      if (!this.#envelopes.delete(peer)) return;
    } else {
      const announcement = openAnnouncement(envelope, this.#clock.now());
      if (announcement.peer !== peer) throw new InvalidValueError('announcement', `one of ${peer}`, announcement.peer);
      this.#envelopes.set(peer, envelope.slice());
    }
    for (const view of this.#views.values()) {
      this.#clock.after(this.#delayMs, () => (envelope === null ? view.drop(peer) : view.take(envelope)));
    }
  }
}

class DirectoryView implements MemoryDirectory {
  readonly #peer: PeerId;
  readonly #clock: Clock;
  readonly #publish: (envelope: Uint8Array | null) => void;
  readonly #held = new Map<PeerId, { announcement: Announcement; cancelExpiry: () => void }>();
  readonly #listeners = new Set<() => void>();
  #stopped = false;

  constructor(peer: PeerId, clock: Clock, publish: (envelope: Uint8Array | null) => void) {
    this.#peer = peer;
    this.#clock = clock;
    this.#publish = publish;
  }

  announcements(): readonly Announcement[] {
    const nowMs = this.#clock.now();
    return [...this.#held.values()].map((held) => held.announcement).filter((each) => !isExpired(each, nowMs));
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  announce(envelope: Uint8Array | null): void {
    if (this.#stopped)
      throw new InvalidValueError('announcement', 'a peer of the network', `${this.#peer}, which left`);
    this.#publish(envelope);
  }

  withdraw(): void {
    this.announce(null);
  }

  take(envelope: Uint8Array): void {
    if (this.#stopped) return;
    const nowMs = this.#clock.now();
    const announcement = openAnnouncement(envelope, nowMs);
    this.#held.get(announcement.peer)?.cancelExpiry();
    const leftMs = announcement.expiresAtMs + limits.clockSkewMsMax + 1 - nowMs;
    const cancelExpiry = this.#clock.after(leftMs, () => this.drop(announcement.peer));
    this.#held.set(announcement.peer, { announcement, cancelExpiry });
    this.#changed();
  }

  drop(peer: PeerId): void {
    const held = this.#held.get(peer);
    if (held === undefined) return;
    held.cancelExpiry();
    this.#held.delete(peer);
    this.#changed();
  }

  stop(): void {
    this.#stopped = true;
    for (const { cancelExpiry } of this.#held.values()) cancelExpiry();
    this.#held.clear();
    this.#listeners.clear();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
