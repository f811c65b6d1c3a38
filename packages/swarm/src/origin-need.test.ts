import { describe, expect, it } from 'vitest';
import * as limits from './limits.ts';
import { OriginNeeds, type OriginNeed } from './origin-need.ts';

/** @returns why the first chunk is needed, and how long that has been so */
const why = (needs: OriginNeeds, nowMs: number, copies = 0): [OriginNeed['why'] | 'known', number] => {
  needs.nowMs = nowMs;
  const need = needs.of(0, copies);
  return need === undefined ? ['known', 0] : [need.why, need.waitedMs];
};
const at = (needs: OriginNeeds, nowMs: number): OriginNeeds => {
  needs.nowMs = nowMs;
  return needs;
};

describe('need of the origin', () => {
  it('O2: a chunk is unheard of until others say something of it; what we ask for ourselves stays so', () => {
    const needs = new OriginNeeds(1);
    expect(why(needs, 10)).toEqual(['unheard', 0]);
    expect(why(needs, 15)).toEqual(['unheard', 5]);
    at(needs, 20).hear({ chunk: 0, round: 1 }, false);
    expect(why(needs, 30)).toEqual(['known', 0]);
    const ours = at(new OriginNeeds(1), 0);
    ours.ask(0);
    expect(ours.takeNews()).toEqual([{ chunk: 0, round: 1 }]);
    expect(why(ours, 10)[0]).toBe('unheard');
    // Asked again after a failure, it is not told again.
    ours.ask(0);
    expect(ours.hasNews).toBe(false);
  });

  it('O5: of a chunk that does not come it is asked who has it, sooner of one that was here, and ever later again', () => {
    const doubtedAfterMs = (needs: OriginNeeds, sinceMs: number): number => {
      for (let nowMs = sinceMs; nowMs < 1e6; nowMs += 500)
        if (why(needs, nowMs)[0] === 'doubted') return nowMs - sinceMs;
      return Infinity;
    };
    const claimed = at(new OriginNeeds(1), 0);
    claimed.hear({ chunk: 0, round: 1 }, false);
    expect(doubtedAfterMs(claimed, 0)).toBe(limits.originClaimMs);
    const elsewhere = at(new OriginNeeds(1), 0);
    elsewhere.hear({ chunk: 0, round: 2 }, false);
    at(elsewhere, 70_000).seeUseful();
    expect(why(elsewhere, 70_000)[0]).toBe('known');
    expect(doubtedAfterMs(elsewhere, 70_000)).toBe(limits.originElsewhereMs);
    const vanished = at(new OriginNeeds(1), 0);
    vanished.saw(0, 0);
    vanished.copiesChanged(0, 1);
    at(vanished, 100_000).copiesChanged(0, 0);
    vanished.takeNews();
    expect(doubtedAfterMs(vanished, 100_000)).toBe(limits.originVanishedMs);
    const [{ round }] = vanished.takeNews();
    expect(round).toBe(3);
    // Somebody answers, and then that is over, too.
    at(vanished, 200_000).hear({ chunk: 0, round: round + 2 }, false);
    vanished.saw(0, 0);
    vanished.copiesChanged(0, 1);
    at(vanished, 300_000).copiesChanged(0, 0);
    expect(doubtedAfterMs(vanished, 300_000)).toBe(2 * limits.originVanishedMs);
  });

  it('O5: whatever liars answer, or say in the last round, the origin is asked in the end', () => {
    const round = limits.rumourRoundsMax;
    const needs = at(new OriginNeeds(1), 0);
    needs.hear({ chunk: 0, round }, false);
    const reasons = new Set<string>();
    for (let nowMs = 0; nowMs < 600_000; nowMs += 500) reasons.add(why(needs, nowMs)[0]);
    expect(why(needs, 600_000)[0]).toBe('doubted');
    expect(why(needs, 600_000)[1]).toBeGreaterThan(limits.originAnswerMs);
    expect(reasons).toEqual(new Set(['known', 'doubted']));
    const answered = at(new OriginNeeds(1), 0);
    answered.hear({ chunk: 0, round: 2 }, false);
    let answers = 0;
    for (let nowMs = 0; nowMs < 600_000 && why(answered, nowMs)[1] < limits.originAnswerMs * 100; nowMs += 500) {
      for (const { round: asked } of answered.takeNews()) {
        if (asked % 3 !== 0) continue;
        answered.hear({ chunk: 0, round: asked + 2 }, false);
        answers++;
      }
    }
    expect(answers).toBe(limits.originDoubtsMax);
    expect(why(answered, 600_000)[0]).toBe('doubted');
  });

  it('O5: who has a chunk answers who asks for it', () => {
    const holder = at(new OriginNeeds(1), 0);
    holder.hear({ chunk: 0, round: 3 }, true);
    expect(holder.takeNews()).toEqual([{ chunk: 0, round: 5 }]);
    const other = at(new OriginNeeds(1), 0);
    other.hear({ chunk: 0, round: 3 }, false);
    expect(other.takeNews()).toEqual([{ chunk: 0, round: 3 }]);
    expect(why(other, 10)).toEqual(['doubted', 10]);
  });

  it('P8: what peers have is needed since they last gave anything', () => {
    const patienceMs = limits.originPatienceMs;
    const needs = at(new OriginNeeds(1), 100);
    expect(why(needs, 99 + patienceMs, 1)[0]).toBe('known');
    expect(why(needs, 100 + patienceMs, 1)).toEqual(['starved', patienceMs]);
    at(needs, 200 + patienceMs).gotPeerByte();
    expect(why(needs, 300 + patienceMs, 1)[0]).toBe('known');
    expect(why(needs, 200 + 2 * patienceMs, 1)[0]).toBe('starved');
  });

  it('O4: counts what was fetched from the origin and not taken on, for a while; then one more is allowed', () => {
    const needs = at(new OriginNeeds(4), 0);
    for (const chunk of [0, 1, 2]) {
      needs.ask(chunk);
      needs.hold(chunk, 0);
    }
    // Of what came from elsewhere others know elsewhere.
    needs.hold(3, 0);
    expect(needs.of(3, 0)?.unspread).toBe(3);
    needs.copiesChanged(1, 1);
    expect(needs.of(3, 0)?.unspread).toBe(2);
    at(needs, limits.originSpreadMs).forgive();
    expect(needs.of(3, 0)?.unspread).toBe(0);
    for (const chunk of [0, 1, 2]) {
      needs.lose(chunk);
      needs.hold(chunk, 0);
    }
    expect(needs.of(3, 0)?.unspread).toBe(1);
  });

  it('O6: who could not pass a chunk on says that it is needed; others may ask until a second peer has it', () => {
    const slow = at(new OriginNeeds(1), 0);
    slow.ask(0);
    slow.hold(0, 0);
    slow.takeNews();
    at(slow, limits.originSpreadMs).forgive();
    const [rumour] = slow.takeNews();
    const other = at(new OriginNeeds(1), 0);
    other.saw(0, 0);
    other.copiesChanged(0, 1);
    expect(why(other, 10, 1)[0]).toBe('known');
    other.hear(rumour, false);
    expect(why(other, 20, 1)).toEqual(['doubted', 10]);
    // Somebody new links the slow one: that does not help.
    const late = at(new OriginNeeds(1), 0);
    late.hear(rumour, false);
    late.saw(0, 0);
    expect(why(late, 5, 1)[0]).toBe('doubted');
    late.saw(0, 1);
    expect(why(late, 6, 2)[0]).toBe('known');
    expect(late.takeNews()).toEqual([{ chunk: 0, round: rumour.round + 2 }]);
  });
});
