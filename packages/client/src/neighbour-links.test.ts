import { circuitProtocol } from '@unfed/circuit';
import {
  identityFromSeed,
  manifestHash,
  type Announcement,
  type Identity,
  type Link,
  type PeerId,
  type StageOffer,
} from '@unfed/protocol';
import { createMemoryNetwork, seededRandom, type MemoryNetwork } from '@unfed/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import * as limits from './limits.ts';
import { keepNeighbourLinks, type NeighbourLinks } from './neighbour-links.ts';

const [model, otherModel] = ['ab', 'cd'].map((pair) => manifestHash(pair.repeat(32)));
const identity = (number: number): Identity => {
  const seed = new Uint8Array(32).fill(7);
  new DataView(seed.buffer).setUint32(0, number);
  return identityFromSeed(seed);
};
const self = identity(0);

let memory: MemoryNetwork;
let keeper: NeighbourLinks | undefined;
let seed = 1;
/** Links that peers took, by peer. */
let taken: Map<PeerId, Link>;
/** What the directory holds; no signature is made or checked for it. */
let listed: Map<PeerId, Announcement>;
let listeners: Set<() => void>;
const directory = {
  announcements: () => [...listed.values()],
  listing: () => ({ networkGroups: [], listedMs: 0 }),
  onChange: (listener: () => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};

beforeEach(() => {
  vi.useFakeTimers();
  memory = createMemoryNetwork({ seed: 1 });
  taken = new Map();
  listed = new Map();
  listeners = new Set();
  keeper = undefined;
});
afterEach(() => {
  keeper?.stop();
  memory.stop();
  vi.useRealTimers();
});

interface Kind {
  readonly span?: readonly [number, number];
  readonly manifest?: typeof model;
  readonly hopKeys?: boolean;
  readonly operator?: string;
  /** Takes no links. */
  readonly deaf?: boolean;
}

function announce(who: Identity, { span, manifest = model, hopKeys = true, operator, deaf = false }: Kind = {}): void {
  const links = memory.peer(who);
  if (!deaf) links.accept(circuitProtocol, (link) => taken.set(who.peer, link));
  const stage: StageOffer | null =
    span === undefined
      ? null
      : { manifest, span: { first: span[0], last: span[1] }, stepsPerSecond: 1, queueLength: 0, backend: 'wasm' };
  const rest = { hopKeys: hopKeys ? [new Uint8Array(32)] : [], operator: operator ?? null, addresses: [], seeds: [] };
  listed.set(who.peer, { peer: who.peer, issuedAtMs: 0, expiresAtMs: 60_000, stage, ...rest });
  for (const listener of listeners) listener();
}

function leave({ peer }: Identity): void {
  memory.leave(peer);
  listed.delete(peer);
  for (const listener of listeners) listener();
}

/** @returns the peers with which links are open after everything has settled */
async function keep(): Promise<Set<PeerId>> {
  const links = memory.peer(self);
  keeper ??= keepNeighbourLinks({
    self: self.peer,
    directory,
    local: false,
    open: (peer, options) => links.open(peer, circuitProtocol, options),
    random: seededRandom(seed),
  });
  await vi.advanceTimersByTimeAsync(2 * limits.neighboursEveryMs);
  return new Set(keeper.peers);
}

const peersOf = (identities: readonly Identity[]): Set<PeerId> => new Set(identities.map(({ peer }) => peer));
const range = (from: number, count: number): Identity[] => Array.from({ length: count }, (_, i) => identity(from + i));

describe('links to likely neighbours', () => {
  it('go from a stage to those that continue its span in its model, and to forwarders, so many of each', async () => {
    announce(self, { span: [0, 4] });
    const next = range(1, 10);
    for (const each of next) announce(each, { span: [4, 8] });
    const others = range(20, 10);
    for (const [i, each] of others.entries()) {
      announce(each, i < 5 ? { span: [0, 4] } : { span: [4, 8], manifest: otherModel });
    }
    const open = [...(await keep())];
    expect(open).toHaveLength(limits.neighbourStagesMax + limits.neighbourForwardersMax);
    const behind = open.filter((peer) => peersOf(next).has(peer));
    expect(behind.length).toBeGreaterThanOrEqual(limits.neighbourStagesMax);
  });

  it('go from a forwarder to stages of the first layers, and to other forwarders', async () => {
    announce(self);
    const first = range(1, 4);
    const later = range(10, 20);
    for (const each of first) announce(each, { span: [0, 4], manifest: each.peer < self.peer ? model : otherModel });
    for (const each of later) announce(each, { span: [4, 8] });
    const open = await keep();
    expect([...peersOf(first)].every((peer) => open.has(peer))).toBe(true);
    expect(open.size).toBe(limits.neighbourStagesMax + limits.neighbourForwardersMax);
  });

  it('are drawn by lot: any peer may be one', async () => {
    const others = range(1, 12);
    const seen = new Set<PeerId>();
    for (seed = 1; seed <= 12; seed++) {
      memory.stop();
      memory = createMemoryNetwork({ seed });
      listed.clear();
      announce(self);
      for (const each of others) announce(each);
      for (const peer of await keep()) seen.add(peer);
      keeper?.stop();
      keeper = undefined;
    }
    seed = 1;
    expect(seen).toEqual(peersOf(others));
  });

  it('stay when others come, and are replaced when a neighbour leaves', async () => {
    announce(self);
    for (const each of range(1, 4)) announce(each);
    const before = await keep();
    expect(before).toEqual(peersOf(range(1, 4)));
    for (const each of range(5, 20)) announce(each);
    expect(await keep()).toEqual(before);
    leave(identity(1));
    const after = await keep();
    expect(after.size).toBe(limits.neighbourForwardersMax);
    expect(after.has(identity(1).peer)).toBe(false);
  });

  it('are not made with a peer that takes no circuits, nor by one that does not', async () => {
    announce(self, { hopKeys: false });
    announce(identity(1));
    expect(await keep()).toEqual(new Set());
    announce(self);
    announce(identity(2), { hopKeys: false });
    expect(await keep()).toEqual(peersOf([identity(1)]));
  });

  it('are not made within one operator or network, where no circuit goes on', async () => {
    announce(self, { operator: 'ann' });
    announce(identity(1), { operator: 'ann' });
    announce(identity(2), { operator: 'bob' });
    expect(await keep()).toEqual(peersOf([identity(2)]));
  });

  it('are tried again with a peer that did not answer only after a while', async () => {
    announce(self);
    announce(identity(1), { deaf: true });
    const tries: PeerId[] = [];
    const links = memory.peer(self);
    keeper = keepNeighbourLinks({
      self: self.peer,
      directory,
      local: false,
      open: (peer, options) => {
        tries.push(peer);
        return links.open(peer, circuitProtocol, options);
      },
    });
    const stirMs = 2 * limits.neighboursEveryMs;
    for (let ms = 0; ms < limits.neighbourRetryMs - stirMs; ms += stirMs) {
      await vi.advanceTimersByTimeAsync(stirMs);
      announce(self);
    }
    expect(tries).toHaveLength(1);
    for (let i = 0; i < 3; i++) {
      announce(self);
      announce(identity(1), { deaf: true });
      await vi.advanceTimersByTimeAsync(stirMs);
    }
    expect(tries).toHaveLength(2);
  });

  it('are never more than the limit, whatever this peer becomes', async () => {
    for (const each of range(100, 20)) announce(each);
    for (let first = 0; first < 12; first++) {
      for (const each of range(1000 + 20 * first, 6)) announce(each, { span: [first + 1, first + 2] });
      announce(self, { span: [first, first + 1] });
      await keep();
    }
    expect(keeper?.peers.length).toBe(limits.neighbourLinksMax);
    expect(taken.size).toBe(limits.neighbourLinksMax);
  });

  it('are not opened any more after it stops, and those that are open stay', async () => {
    announce(self);
    announce(identity(1));
    await keep();
    keeper?.stop();
    announce(identity(2));
    await vi.advanceTimersByTimeAsync(2 * limits.neighboursEveryMs);
    expect(keeper?.peers).toEqual([identity(1).peer]);
  });
});
