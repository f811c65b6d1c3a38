import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as limits from './limits.ts';
import { originAskers, originRank, OriginTurns, peerHash } from './origin-turn.ts';

describe('turns at the origin', () => {
  it('O1: every peer ranks itself alike: for each chunk one is first, one second …', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string(), { minLength: 2, maxLength: 30 }), fc.nat(1000), (names, chunk) => {
        const hashes = [...new Set(names.map(peerHash))];
        const ranks = hashes.map((self) =>
          originRank(
            self,
            hashes.filter((other) => other !== self),
            chunk,
          ),
        );
        expect(ranks.sort((a, b) => a - b)).toEqual(hashes.map((_, i) => i));
      }),
    );
  });

  it('O1: the chunks are spread over the peers', () => {
    const hashes = Array.from({ length: 100 }, (_, i) => peerHash(`peer ${i}`));
    const firsts = hashes.map(
      (self) =>
        Array.from({ length: 1000 }, (_, chunk) => originRank(self, hashes, chunk)).filter((r) => r === 0).length,
    );
    expect(Math.max(...firsts)).toBeLessThan(30);
    expect(firsts.reduce((a, b) => a + b, 0)).toBe(1000);
  });

  it('O2: half a turn after the swarm began the first may ask, and twice as many after every turn', () => {
    const turnMs = limits.originTurnMs * Math.log2(1024);
    const allowed = (waitedMs: number, hasOthers: boolean): number => originAskers(1024, { waitedMs, hasOthers });
    const times = [0, turnMs / 2, turnMs, 2 * turnMs, 10 * turnMs];
    expect(times.map((ms) => allowed(ms, false))).toEqual([0, 1, 1, 3, 1023]);
    // Where peers have other chunks to give, later.
    expect(times.map((ms) => allowed(ms, true))).toEqual([0, 0, 1, 3, 1023]);
  });

  it('O3: the first who came may ask at once, and go on when the swarm grows', () => {
    const need = { waitedMs: 0, hasOthers: true, unspread: 0 };
    const others = Array.from({ length: limits.originCrowdMax - 1 }, (_, i) => peerHash(`${i}`));
    const early = new OriginTurns(
      peerHash('early'),
      () => others,
      () => true,
    );
    expect(early.order(0, need, 0)).toBe(originRank(peerHash('early'), others, 0));
    others.push(peerHash('one more'));
    expect(early.order(1, need, 1)).toBe(originRank(peerHash('early'), others, 1));
    expect(
      new OriginTurns(
        peerHash('late'),
        () => others,
        () => true,
      ).order(1, need, 1),
    ).toBeUndefined();
  });

  it('O4: who cannot pass on what it has asks for no more while others wait for it', () => {
    const need = { waitedMs: 0, hasOthers: false, unspread: limits.originAheadMax };
    let hasTakers = true;
    const turns = new OriginTurns(
      1,
      () => [2],
      () => hasTakers,
    );
    expect(turns.order(0, need, 0)).toBeUndefined();
    expect(turns.order(0, { ...need, unspread: limits.originAheadMax - 1 }, 0)).toBeDefined();
    hasTakers = false;
    expect(turns.order(0, need, 0)).toBeDefined();
  });
});
