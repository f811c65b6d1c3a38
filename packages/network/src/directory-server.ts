/**
 * A relay's directory over links: who announces themselves, told to all who follow, with what the relay says of them. It
 * takes an announcement only from the peer that signed it, and drops it the moment that peer's link ends (SPEC.md, A rules).
 */
import {
  decodeDirectoryFrame,
  directoryProtocol,
  encodeDirectoryFrame,
  InvalidValueError,
  isExpired,
  limits as protocolLimits,
  openAnnouncement,
  UnfedError,
  type Announcement,
  type Link,
  type Links,
  type ListedAnnouncement,
  type PeerId,
} from '@unfed/protocol';
import * as limits from './limits.ts';
import { ListedTimes } from './listed-times.ts';
import { Listeners } from './listeners.ts';

export interface DirectoryServerInit {
  readonly links: Links;
  /** Names the network that a peer is connected from, `networkGroupBytes` long. */
  readonly groupOf: (peer: PeerId) => Uint8Array;
  /** What is known of earlier times; nothing by default. */
  readonly listedTimes?: ListedTimes;
  /** ms since 1970. */
  readonly now?: () => number;
}

/** A peer sent more than its share. */
export class AnnouncedTooOftenError extends UnfedError {
  readonly code = 'announced-too-often';

  constructor() {
    super(
      `announcements came faster than ${limits.announcementsPerSecond} a second and ${limits.announcementsBurst} at once; send fewer`,
    );
  }
}

interface Member {
  readonly link: Link;
  follows: boolean;
  /** Announcements that it may still send at once, and when that was counted. */
  allowance: number;
  countedAtMs: number;
}

interface Entry {
  readonly announcement: Announcement;
  readonly bytes: Uint8Array;
  readonly networkGroup: Uint8Array;
  readonly link: Link;
}

interface Change {
  readonly whole: boolean;
  readonly added: readonly ListedAnnouncement[];
  readonly removed: readonly PeerId[];
}

export class DirectoryServer {
  readonly #groupOf: (peer: PeerId) => Uint8Array;
  readonly #listedTimes: ListedTimes;
  readonly #now: () => number;
  readonly #members = new Set<Member>();
  readonly #entries = new Map<PeerId, Entry>();
  readonly #listeners = new Listeners();
  readonly #stopAccepting: () => void;
  readonly #sweeper: ReturnType<typeof setInterval>;

  constructor({ links, groupOf, listedTimes = new ListedTimes(), now = Date.now }: DirectoryServerInit) {
    this.#groupOf = groupOf;
    this.#listedTimes = listedTimes;
    this.#now = now;
    this.#stopAccepting = links.accept(directoryProtocol, (link) => this.#join(link));
    this.#sweeper = setInterval(() => this.sweep(), limits.directorySweepMs);
  }

  snapshot(): readonly Announcement[] {
    return [...this.#entries.values()].map(({ announcement }) => announcement);
  }

  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  /** Drops what has expired; called every second. */
  sweep(): void {
    const expired = [...this.#entries.values()].filter(({ announcement }) => isExpired(announcement, this.#now()));
    this.#remove(expired.map(({ announcement }) => announcement.peer));
  }

  stop(): void {
    this.#stopAccepting();
    clearInterval(this.#sweeper);
    for (const peer of this.#entries.keys()) this.#listedTimes.end(peer, this.#now());
    for (const { link } of this.#members) link.close();
  }

  #join(link: Link): void {
    const member: Member = {
      link,
      follows: false,
      allowance: limits.announcementsBurst,
      countedAtMs: this.#now(),
    };
    this.#members.add(member);
    void link.closed.then(() => {
      this.#members.delete(member);
      // The peer may have come back on another link already, and announced itself there.
      if (this.#entries.get(link.peer)?.link === link) this.#remove([link.peer]);
    });
    link.onFrame((frame) => this.#take(member, frame));
  }

  /** What it throws ends the link. */
  #take(member: Member, bytes: Uint8Array): void {
    const frame = decodeDirectoryFrame(bytes);
    switch (frame.kind) {
      case 'announce':
        return this.#announce(member, frame.announcement);
      case 'withdraw':
        return this.#remove([member.link.peer]);
      case 'follow':
        return this.#follow(member);
      case 'changed':
        throw new InvalidValueError('directory frame', 'announce, withdraw or follow', frame.kind);
    }
  }

  #announce(member: Member, bytes: Uint8Array): void {
    this.#charge(member);
    const announcement = openAnnouncement(bytes, this.#now());
    const { peer } = announcement;
    if (peer !== member.link.peer) throw new InvalidValueError('announcement', `one of ${member.link.peer}`, peer);
    const before = this.#entries.get(peer);
    if (before === undefined && this.#entries.size >= protocolLimits.directoryAnnouncementsMax) {
      throw new InvalidValueError('directory', `at most ${protocolLimits.directoryAnnouncementsMax} peers`, 'one more');
    }
    if (before !== undefined && before.announcement.issuedAtMs > announcement.issuedAtMs) return;
    this.#listedTimes.begin(peer, this.#now());
    // A copy: the frame may be a view of a larger message.
    const entry = { announcement, bytes: bytes.slice(), networkGroup: this.#groupOf(peer), link: member.link };
    this.#entries.set(peer, entry);
    this.#push([this.#listed(entry)], []);
  }

  #charge(member: Member): void {
    const now = this.#now();
    const refill = (Math.max(0, now - member.countedAtMs) / 1000) * limits.announcementsPerSecond;
    member.allowance = Math.min(limits.announcementsBurst, member.allowance + refill);
    member.countedAtMs = now;
    if (member.allowance < 1) throw new AnnouncedTooOftenError();
    member.allowance--;
  }

  #follow(member: Member): void {
    member.follows = true;
    let whole = true;
    for (const added of batches([...this.#entries.values()].map((entry) => this.#listed(entry)))) {
      this.#send(member, { whole, added, removed: [] });
      whole = false;
    }
  }

  #listed({ announcement, bytes, networkGroup }: Entry): ListedAnnouncement {
    const listedMs = this.#listedTimes.listedMs(announcement.peer, this.#now());
    return { announcement: bytes, networkGroup, listedMs };
  }

  #remove(peers: readonly PeerId[]): void {
    const removed = peers.filter((peer) => this.#entries.delete(peer));
    for (const peer of removed) this.#listedTimes.end(peer, this.#now());
    if (removed.length > 0) this.#push([], removed);
  }

  #push(added: readonly ListedAnnouncement[], removed: readonly PeerId[]): void {
    for (const member of this.#members) if (member.follows) this.#send(member, { whole: false, added, removed });
    this.#listeners.call();
  }

  #send({ link }: Member, { whole, added, removed }: Change): void {
    const frame = encodeDirectoryFrame({ kind: 'changed', whole, added: [...added], removed: [...removed] });
    // A follower that does not read fills its queue and is let go; it may follow again.
    link.send(frame).catch(() => link.close());
  }
}

/** At least one batch, so that a follower always hears something whole. */
function batches(listings: readonly ListedAnnouncement[]): ListedAnnouncement[][] {
  const all: ListedAnnouncement[][] = [];
  let batch: ListedAnnouncement[] = [];
  let bytes = 0;
  for (const listed of listings) {
    const { byteLength } = listed.announcement;
    if (bytes + byteLength > limits.directoryBatchBytes) {
      all.push(batch);
      batch = [];
      bytes = 0;
    }
    batch.push(listed);
    bytes += byteLength;
  }
  return [...all, batch];
}
