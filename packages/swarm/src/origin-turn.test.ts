import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as limits from './limits.ts';
import { isOriginsTurn, originRank, peerHash } from './origin-turn.ts';

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

  it('O2: the first may ask at once, and twice as many after every turn', () => {
    const turnMs = limits.originTurnMs * Math.log2(1024);
    const ranks = Array.from({ length: 1024 }, (_, rank) => rank);
    const allowed = (waitedMs: number, hasOthers: boolean): number =>
      ranks.filter((rank) => isOriginsTurn(rank, 1024, { waitedMs, hasOthers })).length;
    const times = [0, turnMs - 1, turnMs, 2 * turnMs, 10 * turnMs];
    expect(times.map((ms) => allowed(ms, false))).toEqual([1, 1, 2, 4, 1024]);
    // Where peers have other chunks to give, one turn later.
    expect(times.map((ms) => allowed(ms, true))).toEqual([0, 0, 1, 3, 1023]);
  });

  it('O3: in a small swarm everybody may', () => {
    expect(isOriginsTurn(7, limits.originCrowdMin, { waitedMs: 0, hasOthers: true })).toBe(true);
  });
});
