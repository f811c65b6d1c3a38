import { limits as protocolLimits } from '@unfed/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as limits from './limits.ts';
import type { OriginNeed } from './origin-need.ts';
import { originAskers, originRank, OriginTurns, peerHash, type OriginTurnsParts } from './origin-turn.ts';

const turns = (parts: Partial<OriginTurnsParts>): OriginTurns =>
  new OriginTurns({ self: 1, others: () => [], hasTakers: () => true, sentBytesPerSecond: () => 0, ...parts });

const need = (more: Partial<OriginNeed>): OriginNeed => ({
  why: 'unheard',
  waitedMs: 0,
  unspread: 0,
  ...more,
});

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

  it('O2: the first may ask at once for what nobody is known to have, and twice as many after every turn', () => {
    const times = [0, 1, 2, 10].map((turns) => turns * limits.originTurnMs);
    expect(times.map((waitedMs) => originAskers(1000, need({ waitedMs })))).toEqual([1, 2, 4, 1024]);
  });

  it('O5, P8: what nobody says to have is asked for after a while, and what peers do not give later in a crowd', () => {
    const first = (peers: number, why: OriginNeed['why']): number => {
      for (let waitedMs = 0; waitedMs < 1e6; waitedMs += 500) {
        if (originAskers(peers, need({ why, waitedMs })) > 0) return waitedMs;
      }
      return Infinity;
    };
    expect(first(1000, 'doubted')).toBe(limits.originAnswerMs);
    expect(first(4, 'starved')).toBe(limits.originPatienceMs);
    expect(first(10 * limits.originCrowdMax, 'starved')).toBe(10 * limits.originPatienceMs);
    const later = { why: 'doubted' as const, waitedMs: limits.originAnswerMs + 3 * limits.originTurnMs };
    expect(originAskers(1000, need(later))).toBe(8);
  });

  it('O2: of all who may ask for a chunk, those that come first in its order do', () => {
    const hashes = Array.from({ length: 64 }, (_, i) => peerHash(`peer ${i}`));
    for (const [waitedMs, askers] of [
      [0, 1],
      [2 * limits.originTurnMs, 4],
    ] as const) {
      const orders = hashes.map((self) =>
        turns({ self, others: () => hashes.filter((hash) => hash !== self) }).order(7, need({ waitedMs }), 0),
      );
      expect(orders.filter((order) => order !== undefined).sort()).toEqual(Array.from({ length: askers }, (_, i) => i));
    }
  });

  it('O4: who has not passed on what it fetched fetches no more, so much as its line can send, while others wait', () => {
    let hasTakers = true;
    let sentBytesPerSecond = 0;
    const parts = { hasTakers: () => hasTakers, sentBytesPerSecond: () => sentBytesPerSecond };
    const may = (count: number): boolean => turns(parts).order(0, need({ unspread: count }), 0) !== undefined;
    expect([may(0), may(1)]).toEqual([true, false]);
    sentBytesPerSecond = (4 * 1000 * protocolLimits.chunkBytes) / limits.originAheadMs;
    expect([may(3), may(4)]).toEqual([true, false]);
    sentBytesPerSecond = Infinity;
    expect([may(limits.originAheadMax - 1), may(limits.originAheadMax)]).toEqual([true, false]);
    hasTakers = false;
    expect(may(limits.originAheadMax)).toBe(true);
  });
});
