import {
  directoryProtocol,
  encodeDirectoryFrame,
  limits as protocolLimits,
  networkGroupOf,
  publicKeyOf,
  randomIdentity,
  signAnnouncement,
  type Announcement,
  type Identity,
  type Links,
  type PeerId,
} from '@unfed/protocol';
import { arbitraryBytes, createMemoryNetwork, mutated, type MemoryNetwork } from '@unfed/testing';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DirectoryFollower } from './directory-follower.ts';
import { DirectoryServer } from './directory-server.ts';
import { announcementsBurst } from './limits.ts';
import { ListedTimes } from './listed-times.ts';

let memory: MemoryNetwork;
let server: DirectoryServer;
let nowMs: number;
let stops: (() => void)[];
const relay = randomIdentity();

beforeEach(() => {
  memory = createMemoryNetwork({ seed: 1 });
  nowMs = 1_700_000_000_000;
  stops = [];
  together.clear();
  server = new DirectoryServer({ links: memory.peer(relay), groupOf, now: () => nowMs });
});

afterEach(() => {
  for (const stop of stops) stop();
  server.stop();
  memory.stop();
});

/** Every peer in a network of its own, unless the test says otherwise. */
const together = new Set<PeerId>();
const groupOf = (peer: PeerId): Uint8Array =>
  together.has(peer) ? new Uint8Array(protocolLimits.networkGroupBytes) : publicKeyOf(peer).slice(0, 16);

function announcement(identity: Identity, change: Partial<Announcement> = {}): Uint8Array {
  const base = { peer: identity.peer, issuedAtMs: nowMs, expiresAtMs: nowMs + 60_000, stage: null, hopKeys: [] };
  return signAnnouncement({ ...base, operator: null, addresses: [], seeds: [], ...change }, identity);
}

function follower(links: Links = memory.peer(randomIdentity()), removed: string[] = []): DirectoryFollower {
  const following = new AbortController();
  const init = { links, now: () => nowMs, onRemoved: (peer: string) => removed.push(peer) };
  const follower = new DirectoryFollower(init);
  void follower.follow(relay.peer, following.signal);
  stops.push(() => {
    following.abort(new Error('over'));
    follower.stop();
  });
  return follower;
}

const peersOf = (source: { announcements(): readonly Announcement[] }): string[] =>
  source.announcements().map(({ peer }) => peer);

async function until(source: { onChange(listener: () => void): () => void }, holds: () => boolean): Promise<void> {
  await new Promise<void>((resolve) => {
    const check = (): void => {
      if (holds()) resolve();
    };
    source.onChange(check);
    check();
  });
}

describe('the directory', () => {
  it('A1 A4: tells every follower who announces, and what was announced before it came', async () => {
    const identities = [randomIdentity(), randomIdentity()];
    const early = follower(memory.peer(identities[0]));
    for (const identity of identities) {
      const one = identity === identities[0] ? early : follower(memory.peer(identity));
      one.announce(announcement(identity));
    }
    await until(early, () => peersOf(early).length === 2);
    const late = follower();
    await until(late, () => peersOf(late).length === 2);
    expect(peersOf(late).sort()).toEqual(identities.map(({ peer }) => peer).sort());
    expect(server.snapshot()).toHaveLength(2);
  });

  it('A2: takes an announcement only from the peer that it names', async () => {
    const liar = memory.peer(randomIdentity());
    const link = await liar.open(relay.peer, directoryProtocol);
    await link.send(encodeDirectoryFrame({ kind: 'announce', announcement: announcement(randomIdentity()) }));
    await link.closed;
    expect(server.snapshot()).toEqual([]);
  });

  it('A2: refuses what is not signed by the peer, or expired', async () => {
    const identity = randomIdentity();
    const forged = announcement(identity);
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
    const old = announcement(identity, { issuedAtMs: nowMs - 200_000, expiresAtMs: nowMs - 150_000 });
    for (const bytes of [forged, old]) {
      const link = await memory.peer(identity).open(relay.peer, directoryProtocol);
      await link.send(encodeDirectoryFrame({ kind: 'announce', announcement: bytes }));
      await link.closed;
    }
    expect(server.snapshot()).toEqual([]);
  });

  it('A3: removes a peer at once when its link ends, and when it withdraws', async () => {
    const identities = [randomIdentity(), randomIdentity()] as const;
    const removed: string[] = [];
    const watcher = follower(memory.peer(randomIdentity()), removed);
    const [, second] = identities.map((identity) => {
      const one = follower(memory.peer(identity));
      one.announce(announcement(identity));
      return one;
    });
    await until(watcher, () => peersOf(watcher).length === 2);
    memory.leave(identities[0].peer);
    await until(watcher, () => peersOf(watcher).length === 1);
    second?.announce(null);
    await until(watcher, () => peersOf(watcher).length === 0);
    expect(removed).toEqual(identities.map(({ peer }) => peer));
  });

  it('A5: lets go of a peer that announces too often', async () => {
    const identity = randomIdentity();
    const link = await memory.peer(identity).open(relay.peer, directoryProtocol);
    const frame = encodeDirectoryFrame({ kind: 'announce', announcement: announcement(identity) });
    for (let i = 0; i <= announcementsBurst; i++) await link.send(frame).catch(() => undefined);
    await link.closed;
    expect(server.snapshot()).toEqual([]);
  });

  it('A6: a follower drops what has expired, also when the relay is gone', async () => {
    const identity = randomIdentity();
    const watcher = follower();
    follower(memory.peer(identity)).announce(announcement(identity));
    await until(watcher, () => peersOf(watcher).length === 1);
    memory.leave(relay.peer);
    watcher.sweep();
    expect(peersOf(watcher)).toEqual([identity.peer]);
    nowMs += 60_001 + protocolLimits.clockSkewMsMax;
    watcher.sweep();
    expect(peersOf(watcher)).toEqual([]);
    server.sweep();
    expect(server.snapshot()).toEqual([]);
  });

  it('A7: keeps a peer announced after its link broke', async () => {
    const identity = randomIdentity();
    const links = memory.peer(identity);
    follower(links).announce(announcement(identity));
    await until(server, () => server.snapshot().length === 1);
    (await links.open(relay.peer, directoryProtocol)).close();
    await until(server, () => server.snapshot().length === 0);
    await until(server, () => server.snapshot().length === 1);
  });

  it('A8: a follower verifies what the relay says', async () => {
    const lying = randomIdentity();
    const forged = announcement(randomIdentity());
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
    const honest = announcement(lying);
    memory.peer(lying).accept(directoryProtocol, (link) => {
      link.onFrame(() => undefined);
      const word = { networkGroup: new Uint8Array(protocolLimits.networkGroupBytes), listedMs: 0 };
      const added = [forged, honest].map((each) => ({ announcement: each, ...word }));
      const frame = { kind: 'changed' as const, whole: true, added, removed: [] };
      void link.send(encodeDirectoryFrame(frame));
    });
    const watcher = new DirectoryFollower({ links: memory.peer(randomIdentity()), now: () => nowMs });
    const following = new AbortController();
    stops.push(() => watcher.stop());
    stops.push(() => following.abort(new Error('over')));
    void watcher.follow(lying.peer, following.signal);
    await until(watcher, () => peersOf(watcher).length > 0);
    expect(peersOf(watcher)).toEqual([lying.peer]);
  });

  it('A10: says beside each announcement which peers are connected from one network, in words of the relay', async () => {
    const [a, b, c] = [randomIdentity(), randomIdentity(), randomIdentity()] as const;
    together.add(a.peer).add(b.peer);
    for (const identity of [a, b, c]) follower(memory.peer(identity)).announce(announcement(identity));
    const watcher = follower();
    await until(watcher, () => peersOf(watcher).length === 3);
    const groupsOf = ({ peer }: Identity) => watcher.listing(peer).networkGroups;
    expect(groupsOf(a)).toEqual([networkGroupOf(relay.peer, new Uint8Array(16))]);
    expect(groupsOf(b)).toEqual(groupsOf(a));
    expect(groupsOf(c)).not.toEqual(groupsOf(a));
    expect(watcher.listing(randomIdentity().peer)).toEqual({ networkGroups: [], listedMs: 0 });
  });

  it('A11: says for how long a peer was listed, all times together', async () => {
    const identity = randomIdentity();
    const watcher = follower();
    const one = follower(memory.peer(identity));
    const listedMs = (): number => watcher.listing(identity.peer).listedMs;
    one.announce(announcement(identity));
    await until(watcher, () => peersOf(watcher).length === 1);
    expect(listedMs()).toBe(0);
    nowMs += 20_000;
    one.announce(announcement(identity));
    await until(watcher, () => listedMs() === 20_000);
    nowMs += 1000;
    one.announce(null);
    await until(watcher, () => peersOf(watcher).length === 0);
    nowMs += 3_600_000;
    one.announce(announcement(identity));
    await until(watcher, () => peersOf(watcher).length === 1);
    expect(listedMs()).toBe(21_000);
    const late = follower();
    nowMs += 500;
    await until(late, () => late.listing(identity.peer).listedMs === 21_500);
  });

  it('A11: of several relays, the longest time counts, and each names the network in its own way', async () => {
    const other = randomIdentity();
    const listedTimes = new ListedTimes();
    const identity = randomIdentity();
    listedTimes.begin(identity.peer, nowMs - 5000);
    const links = memory.peer(other);
    const second = new DirectoryServer({ links, groupOf, listedTimes, now: () => nowMs });
    stops.push(() => second.stop());
    const following = new AbortController();
    stops.push(() => following.abort(new Error('over')));
    const announcer = follower(memory.peer(identity));
    const watcher = follower();
    for (const each of [announcer, watcher]) void each.follow(other.peer, following.signal);
    announcer.announce(announcement(identity));
    await until(watcher, () => watcher.listing(identity.peer).networkGroups.length === 2);
    const { networkGroups, listedMs } = watcher.listing(identity.peer);
    expect(listedMs).toBe(5000);
    expect(new Set(networkGroups)).toEqual(
      new Set([relay, other].map(({ peer }) => networkGroupOf(peer, groupOf(identity.peer)))),
    );
  });

  it('whatever bytes a peer sends, only its own link suffers', async () => {
    const good = randomIdentity();
    follower(memory.peer(good)).announce(announcement(good));
    await until(server, () => server.snapshot().length === 1);
    const valid = encodeDirectoryFrame({ kind: 'announce', announcement: announcement(good) });
    const frames = fc.oneof(arbitraryBytes(), mutated(valid));
    await fc.assert(
      fc.asyncProperty(frames, async (frame) => {
        const stranger = randomIdentity();
        const link = await memory.peer(stranger).open(relay.peer, directoryProtocol);
        await link.send(frame);
        link.close();
        await link.closed;
        expect(server.snapshot().map(({ peer }) => peer)).toEqual([good.peer]);
        memory.leave(stranger.peer);
      }),
      { numRuns: 100 },
    );
  });
});
