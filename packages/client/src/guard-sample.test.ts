import { peerIdFromPublicKey, type PeerId } from '@unfed/protocol';
import { seededRandom } from '@unfed/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GuardSample, type GuardCandidate } from './guard-sample.ts';
import { memoryGuardStore, type GuardStore } from './guard-store.ts';
import * as limits from './limits.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const startMs = 1_800_000_000_000;

const peerOf = (kind: number, number: number): PeerId => {
  const key = new Uint8Array(32).fill(kind);
  new DataView(key.buffer).setUint32(0, number);
  return peerIdFromPublicKey(key);
};
const candidate = (peer: PeerId, listedMs = 30 * dayMs, kin: readonly string[] = []): GuardCandidate => ({
  peer,
  listedMs,
  kin,
});
const honest = Array.from({ length: 12 }, (_, i) => candidate(peerOf(1, i)));
const strangers = (count: number, listedMs: number): GuardCandidate[] =>
  Array.from({ length: count }, (_, i) => candidate(peerOf(2, i), listedMs));
const always = (): boolean => true;

/** A person with one store, who may come back at any time. */
class Person {
  readonly store: GuardStore = memoryGuardStore();
  nowMs = startMs;
  readonly #random: () => number;

  constructor(seed = 1) {
    this.#random = seededRandom(seed);
  }

  /** As after a reload. */
  get sample(): GuardSample {
    return new GuardSample({ store: this.store, nowMs: () => this.nowMs, random: this.#random });
  }

  pick(candidates: readonly GuardCandidate[], canServe: (peer: PeerId) => boolean = always): PeerId | undefined {
    return this.sample.pick(candidates, canServe)?.peer;
  }

  get peers(): PeerId[] {
    return this.sample.guards.map(({ peer }) => peer);
  }
}

const seeds = fc.integer({ min: 1, max: 1_000_000 });

describe('the sample of guards', () => {
  it('has three, chosen at random, and the first of them serves', () => {
    const firsts = new Set<PeerId | undefined>();
    for (let seed = 1; seed <= 200; seed++) {
      const person = new Person(seed);
      const guard = person.pick(honest);
      expect(person.peers).toHaveLength(limits.guardsKept);
      expect(guard).toBe(person.peers[0]);
      firsts.add(guard);
    }
    expect(firsts.size).toBe(honest.length);
  });

  it('is the same across reloads for 30 days, whoever comes, goes and is busy', () => {
    const visits = fc.array(fc.record({ waitMs: fc.nat(dayMs), newcomers: fc.nat(50), away: fc.nat(2) }), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(seeds, visits, (seed, all) => {
        const person = new Person(seed);
        person.pick(honest);
        const guards = person.peers;
        for (const { waitMs, newcomers, away } of all) {
          person.nowMs += waitMs;
          if (person.nowMs - startMs >= limits.guardLifeMs) return;
          // As many of the three as are away at once leave one at least.
          const gone = new Set(guards.slice(0, away));
          const here = [...honest.filter(({ peer }) => !gone.has(peer)), ...strangers(newcomers, 60 * dayMs)];
          expect(person.pick(here)).toBe(guards[away]);
          expect(person.peers).toEqual(guards);
        }
      }),
    );
  });

  it('gives an attacker no chance before 30 days, however many peers they add, and then one a place', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 500 }), fc.nat(29 * dayMs), (seed, count, afterMs) => {
        const person = new Person(seed);
        person.pick(honest);
        const evil = new Set(strangers(count, 90 * dayMs).map(({ peer }) => peer));
        const all = [...honest, ...strangers(count, 90 * dayMs)];
        for (person.nowMs += afterMs; person.nowMs < startMs + limits.guardLifeMs; person.nowMs += dayMs) {
          expect(evil.has(person.pick(all) as PeerId)).toBe(false);
        }
        person.nowMs = startMs + limits.guardLifeMs;
        person.pick(all);
        expect(person.peers).toHaveLength(limits.guardsKept);
        expect(person.sample.guards.every(({ chosenMs }) => chosenMs === person.nowMs)).toBe(true);
      }),
    );
  });

  it('takes no newcomer while there are peers that have been there for long', () => {
    fc.assert(
      fc.property(
        seeds,
        fc.integer({ min: 1, max: 500 }),
        fc.nat(limits.guardListedMs - 1),
        (seed, count, listedMs) => {
          const person = new Person(seed);
          person.pick([...strangers(count, listedMs), ...honest]);
          const old = new Set(honest.map(({ peer }) => peer));
          expect(person.peers.filter((peer) => !old.has(peer))).toEqual([]);
        },
      ),
    );
  });

  it('takes, in a young network, those that have been there for at least half as long as the third longest', () => {
    const times = [100, 80, 60, 31, 30, 29, 0];
    const young = times.map((minutes, i) => candidate(peerOf(3, i), minutes * 60_000));
    const chosen = new Set<PeerId>();
    for (let seed = 1; seed <= 200; seed++) {
      const person = new Person(seed);
      person.pick(young);
      for (const peer of person.peers) chosen.add(peer);
    }
    expect(chosen).toEqual(new Set(young.slice(0, 5).map(({ peer }) => peer)));
    const alone = new Person();
    expect(alone.pick([candidate(peerOf(3, 0), 0)])).toBe(peerOf(3, 0));
    expect(new Person().pick([])).toBeUndefined();
  });

  it('holds no two of one operator or network', () => {
    const kinds = fc.array(fc.subarray(['operator a', 'network b', 'network c']), { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(seeds, kinds, (seed, labels) => {
        const person = new Person(seed);
        const kinOf = new Map(labels.map((kin, i) => [peerOf(1, i), kin]));
        person.pick([...kinOf].map(([peer, kin]) => candidate(peer, dayMs, kin)));
        const used = person.peers.flatMap((peer) => kinOf.get(peer) ?? []);
        expect(new Set(used).size).toBe(used.length);
      }),
    );
  });

  it('passes a guard whose circuits fail on to the second, and comes back to it', () => {
    const person = new Person();
    const first = person.pick(honest) as PeerId;
    const second = person.peers[1];
    for (let i = 1; i < limits.guardStrikesBorne; i++) {
      person.sample.failed(first);
      expect(person.pick(honest)).toBe(first);
    }
    person.sample.failed(first);
    expect(person.pick(honest)).toBe(second);
    expect(person.sample.guards[0]?.restsUntilMs).toBe(person.nowMs + limits.guardRestFirstMs);
    person.nowMs += limits.guardRestFirstMs;
    expect(person.pick(honest)).toBe(first);
    // It fails again: now it rests for longer. Then it works, and is as before.
    person.sample.failed(first);
    expect(person.sample.guards[0]?.restsUntilMs).toBe(person.nowMs + 2 * limits.guardRestFirstMs);
    person.nowMs += 2 * limits.guardRestFirstMs;
    for (let i = 0; i < 4; i++) person.sample.built(first);
    person.sample.failed(first);
    expect(person.pick(honest)).toBe(first);
  });

  it('rests a guard that fails two circuits of three, not one that fails every second', () => {
    for (const [pattern, rests] of [
      [[false, true], false],
      [[false, false, true], true],
    ] as const) {
      const person = new Person();
      const guard = person.pick(honest) as PeerId;
      let rested = false;
      for (let i = 0; i < 60; i++) {
        if (pattern[i % pattern.length]) person.sample.built(guard);
        else person.sample.failed(guard);
        rested ||= person.sample.guards[0]?.restsUntilMs !== 0;
      }
      expect(rested).toBe(rests);
    }
  });

  it('passes over a guard that cannot be reached at once, for at most 6 hours at a time', () => {
    const person = new Person();
    const [first, second, third] = (person.pick(honest), person.peers) as [PeerId, PeerId, PeerId];
    person.sample.unreachable(first);
    expect(person.pick(honest)).toBe(second);
    for (let i = 0; i < 50; i++) person.sample.unreachable(second);
    expect(person.sample.guards[1]?.restsUntilMs).toBe(person.nowMs + limits.guardRestMaxMs);
    person.sample.unreachable(third);
    // All rest: the one whose rest ends first, and whoever asks knows.
    expect(person.sample.pick(honest, always)).toEqual({ peer: first, resting: true });
    expect(person.peers).toHaveLength(limits.guardsKept);
  });

  it('grows only when none of it was listed for an hour, and to six at most', () => {
    const person = new Person();
    person.pick(honest);
    for (let size = limits.guardsKept; size < limits.guardsMax; size++) {
      const gone = new Set(person.peers);
      const others = honest.filter(({ peer }) => !gone.has(peer));
      expect(person.pick(others)).toBeUndefined();
      person.nowMs += limits.guardAbsentMs - 1;
      expect(person.pick(others)).toBeUndefined();
      person.nowMs += 1;
      expect(gone.has(person.pick(others) as PeerId)).toBe(false);
      expect(person.peers).toHaveLength(size + 1);
    }
    const gone = new Set(person.peers);
    person.nowMs += 10 * hourMs;
    expect(person.pick(honest.filter(({ peer }) => !gone.has(peer)))).toBeUndefined();
    person.nowMs += limits.guardAbsentMs;
    expect(person.pick(honest.filter(({ peer }) => !gone.has(peer)))).toBeUndefined();
    // The first comes back: it serves.
    expect(person.pick(honest)).toBe([...gone][0]);
  });

  it('grows at once where its guards are there and none can serve this circuit, by one that can', () => {
    const person = new Person();
    person.pick(honest);
    const held = new Set(person.peers);
    const only = honest.find(({ peer }) => !held.has(peer))?.peer;
    expect(person.pick(honest, (peer) => peer === only)).toBe(only);
    expect(person.peers).toHaveLength(limits.guardsKept + 1);
    expect(person.pick(honest, () => false)).toBeUndefined();
    expect(person.peers).toHaveLength(limits.guardsKept + 1);
  });

  it('does not grow because circuits fail', () => {
    const person = new Person();
    for (let i = 0; i < 100; i++) {
      const guard = person.pick(honest) as PeerId;
      person.sample.failed(guard);
      person.nowMs += hourMs / 10;
    }
    expect(person.peers).toHaveLength(limits.guardsKept);
  });

  it('keeps no guard for longer when the clock is set back', () => {
    const person = new Person();
    person.pick(honest);
    person.nowMs -= 300 * dayMs;
    person.pick(honest);
    for (const { untilMs } of person.sample.guards)
      expect(untilMs).toBeLessThanOrEqual(person.nowMs + limits.guardLifeMs);
  });

  it('begins anew from a text that it did not write, and works where nothing can be written', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        const person = new Person();
        person.store.write(text);
        expect(person.pick(honest)).toBe(person.peers[0]);
        expect(person.peers).toHaveLength(limits.guardsKept);
      }),
    );
    const full = {
      read: () => undefined,
      write: () => {
        throw new Error('no room');
      },
    };
    const sample = new GuardSample({ store: full });
    const first = sample.pick(honest, always);
    expect(sample.pick(honest, always)).toEqual(first);
  });
});
