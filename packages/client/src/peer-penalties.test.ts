import type { PeerId } from '@unfed/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as limits from './limits.ts';
import { PeerPenalties } from './peer-penalties.ts';

const peer = (name: string | number) => `p${name}` as PeerId;

describe('penalties of peers (P3)', () => {
  it('are bounded in number and in size, and are never below nothing, whatever fails when', () => {
    const failure = fc.record({
      peers: fc.array(fc.nat(3 * limits.penaltiesMax), { minLength: 1, maxLength: 200 }),
      afterMs: fc.nat(limits.penaltyHalfLifeMs),
    });
    fc.assert(
      fc.property(fc.array(failure, { maxLength: 30 }), (failures) => {
        let nowMs = 0;
        const penalties = new PeerPenalties(() => nowMs);
        for (const { peers, afterMs } of failures) {
          nowMs += afterMs;
          penalties.add(peers.map(peer));
          expect(penalties.size).toBeLessThanOrEqual(limits.penaltiesMax);
          for (const one of peers) {
            expect(penalties.ms(peer(one))).toBeGreaterThanOrEqual(0);
            expect(penalties.ms(peer(one))).toBeLessThanOrEqual(limits.penaltyMsMax);
          }
        }
      }),
      { numRuns: 30 },
    );
  });

  it('halve with time, and are forgotten in the end', () => {
    let nowMs = 0;
    const penalties = new PeerPenalties(() => nowMs);
    penalties.add([peer('a')]);
    expect(penalties.ms(peer('a'))).toBe(limits.failurePenaltyMs);
    nowMs = limits.penaltyHalfLifeMs;
    expect(penalties.ms(peer('a'))).toBeCloseTo(limits.failurePenaltyMs / 2);
    nowMs *= 40;
    expect(penalties.ms(peer('a'))).toBe(0);
    penalties.add([peer('b')]);
    expect(penalties.size).toBe(1);
  });

  it('are shared where it is not known who failed, and add up for one who fails again', () => {
    const penalties = new PeerPenalties(() => 0);
    penalties.add([peer('a'), peer('b')]);
    penalties.add([peer('b'), peer('c')]);
    expect(penalties.ms(peer('b'))).toBe(penalties.ms(peer('a')) + penalties.ms(peer('c')));
  });

  it('of those that failed worst stay where there is no room for all', () => {
    const penalties = new PeerPenalties(() => 0);
    penalties.add([peer('worst')]);
    penalties.add(Array.from({ length: 2 * limits.penaltiesMax }, (_, i) => peer(i)));
    expect(penalties.ms(peer('worst'))).toBe(limits.failurePenaltyMs);
  });
});
