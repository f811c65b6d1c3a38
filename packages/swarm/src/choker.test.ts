import { seededRandom } from '@unfed/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Choker, slotsFor, UploadSlots, type ChokerPeer } from './choker.ts';
import * as limits from './limits.ts';

const slots = limits.uploadSlotsRegular + limits.uploadSlotsOptimistic;
const peer = (id: string, { given = 0, taken = 0, interested = true } = {}): ChokerPeer => ({
  id,
  interested,
  givenBytesPerSecond: given,
  takenBytesPerSecond: taken,
});
const many = (count: number, give: (i: number) => number = () => 0): ChokerPeer[] =>
  Array.from({ length: count }, (_, i) => peer(`p${i}`, { given: give(i), taken: count - i }));

describe('choker', () => {
  it('K1: never lets in more than its slots, nor who wants nothing, and leaves no slot empty', () => {
    const peers = fc.array(fc.record({ rate: fc.nat(100), interested: fc.boolean() }), { maxLength: 20 });
    fc.assert(
      fc.property(
        fc.array(peers, { minLength: 1, maxLength: 10 }),
        fc.boolean(),
        fc.nat(),
        (rounds, complete, seed) => {
          const choker = new Choker({ random: seededRandom(seed) });
          for (const round of rounds) {
            const list = round.map(({ rate, interested }, i) =>
              peer(`p${i}`, { given: rate, taken: rate, interested }),
            );
            const chosen = choker.choose(list, { complete });
            const wanting = list.filter(({ interested }) => interested);
            expect(chosen.size).toBe(Math.min(slots, wanting.length));
            for (const id of chosen) expect(wanting.some((each) => each.id === id)).toBe(true);
          }
        },
      ),
    );
  });

  it('K2: lets in those that give most; when complete, those that take fastest', () => {
    const choker = new Choker({ random: seededRandom(3) });
    const chosen = choker.choose(
      many(20, (i) => i),
      { complete: false },
    );
    for (const id of ['p19', 'p18', 'p17', 'p16']) expect(chosen).toContain(id);
    const complete = new Choker({ random: seededRandom(3) }).choose(
      many(20, (i) => i),
      { complete: true },
    );
    for (const id of ['p0', 'p1', 'p2', 'p3']) expect(complete).toContain(id);
  });

  it('K3: everybody has a turn in the optimistic slot, for so many rounds', () => {
    const choker = new Choker({ random: seededRandom(5) });
    const peers = many(10, (i) => (i < limits.uploadSlotsRegular ? 100 : 0));
    const seen = new Set<string>();
    let before = '';
    let stay = 0;
    for (let round = 0; round < 300; round++) {
      const [optimistic = ''] = [...choker.choose(peers, { complete: false })].slice(limits.uploadSlotsRegular);
      if (round > 0 && optimistic !== before) {
        expect(stay).toBe(limits.optimisticRounds);
        stay = 0;
      }
      stay++;
      before = optimistic;
      seen.add(optimistic);
    }
    expect(seen.size).toBe(peers.length - limits.uploadSlotsRegular);
  });

  it('K4: a peer that comes in between ends nobody else’s turn', () => {
    const choker = new Choker({ random: seededRandom(5) });
    const peers = many(10, (i) => (i < limits.uploadSlotsRegular ? 100 : 0));
    const before = choker.choose(peers, { complete: false });
    for (let i = 0; i < 50; i++) {
      const more = [...peers, peer('late')];
      expect(choker.choose(more, { complete: false, turns: false })).toEqual(before);
    }
  });

  it('K4: between rounds, of peers that gave as little the same ones stay in', () => {
    const choker = new Choker({ random: seededRandom(7) });
    const peers = many(30);
    const before = choker.choose(peers, { complete: false });
    for (let i = 0; i < 50; i++) expect(choker.choose(peers, { complete: false, turns: false })).toEqual(before);
  });

  it('K6: whoever is still sent a chunk takes a slot, until that is there', () => {
    const choker = new Choker({ random: seededRandom(7) });
    const peers = many(30);
    const before = choker.choose(peers, { complete: false });
    // All who were let in want nothing any more, but for the chunk that each is being sent.
    const rest = peers.filter(({ id }) => !before.has(id));
    const leaving = [...before].map((id) => ({ ...peer(id, { interested: false }), isSending: true }));
    expect(choker.choose([...rest, ...leaving], { complete: false, turns: false }).size).toBe(0);
    const [done, ...others] = leaving;
    const after = choker.choose([...rest, { ...done, isSending: false }, ...others], { complete: false, turns: false });
    expect(after.size).toBe(1);
  });

  it('K1: a line of which nothing is known lets in one; then as many as it can serve well', () => {
    const slots = new UploadSlots();
    const cap = Infinity;
    expect(slots.give(cap, true)).toBe(0);
    const forTwo = 3 * limits.uploadSlotBytesPerSecond;
    expect(slots.see(forTwo, cap)).toBe(true);
    expect(slots.give(cap, false)).toBe(2);
    expect(slots.see(forTwo, cap)).toBe(false);
    expect(slots.give(limits.uploadSlotBytesPerSecond, false)).toBe(0);
    // What was seen once counts less with every round.
    for (let round = 0; round < 100; round++) slots.give(cap, true);
    expect(slots.give(cap, false)).toBe(0);
    expect([0, forTwo, Infinity].map(slotsFor)).toEqual([0, 2, 4]);
  });
});
