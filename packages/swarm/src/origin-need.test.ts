import { describe, expect, it } from 'vitest';
import * as limits from './limits.ts';
import { OriginNeeds, type OriginNeed } from './origin-need.ts';

/** @returns why the first chunk is needed, and how long that has been so */
const why = (needs: OriginNeeds, nowMs: number, copies = 0): [OriginNeed['why'], number] => {
  needs.nowMs = nowMs;
  const need = needs.of(0, copies);
  return [need.why, need.waitedMs];
};
const at = (needs: OriginNeeds, nowMs: number): OriginNeeds => {
  needs.nowMs = nowMs;
  return needs;
};

describe('need of the origin', () => {
  it('O5: a chunk is unheard of, then claimed, then elsewhere, and never so because of ourselves', () => {
    const needs = new OriginNeeds(1);
    expect(why(needs, 10)).toEqual(['unheard', 0]);
    expect(why(needs, 15)).toEqual(['unheard', 5]);
    at(needs, 20).hear({ chunk: 0, round: 1 });
    expect(why(needs, 30)).toEqual(['claimed', 10]);
    at(needs, 40).hear({ chunk: 0, round: 2 });
    expect(why(needs, 45)).toEqual(['elsewhere', 5]);
    at(needs, 50).seeUseful();
    expect(why(needs, 51)).toEqual(['elsewhere', 1]);
    const ours = at(new OriginNeeds(1), 0);
    ours.ask(0);
    expect(ours.takeNews()).toEqual([{ chunk: 0, round: 1 }]);
    expect(why(ours, 10)[0]).toBe('unheard');
    // Asked again after a failure, it is not told again.
    ours.ask(0);
    expect(ours.hasNews).toBe(false);
  });

  it('O5: what peers here had vanishes with the last of them, and is known since it was heard of', () => {
    const needs = at(new OriginNeeds(1), 100);
    needs.saw(0, 0);
    needs.copiesChanged(0, 1);
    expect(why(needs, 400, 1)).toEqual(['starved', 300]);
    at(needs, 500).gotPeerByte();
    expect(why(needs, 600, 1)).toEqual(['starved', 100]);
    at(needs, 700).copiesChanged(0, 0);
    expect(why(needs, 750)).toEqual(['vanished', 50]);
    expect(needs.of(0, 0).knownMs).toBe(600);
    // Somebody asks for it again: that is waited for.
    at(needs, 800).hear({ chunk: 0, round: 4 });
    expect(why(needs, 900)).toEqual(['claimed', 100]);
  });

  it('O4: counts what was fetched from the origin and not taken on, for a while; then one more is allowed', () => {
    const needs = at(new OriginNeeds(4), 0);
    for (const chunk of [0, 1, 2]) {
      needs.ask(chunk);
      needs.hold(chunk, 0);
    }
    // Of what came from elsewhere others know elsewhere.
    needs.hold(3, 0);
    expect(needs.of(3, 0).unspread).toBe(3);
    needs.copiesChanged(1, 1);
    expect(needs.of(3, 0).unspread).toBe(2);
    at(needs, limits.originSpreadMs).forgive();
    expect(needs.of(3, 0).unspread).toBe(0);
    for (const chunk of [0, 1, 2]) {
      needs.lose(chunk);
      needs.hold(chunk, 0);
    }
    expect(needs.of(3, 0).unspread).toBe(1);
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
    expect(why(other, 10, 1)[0]).toBe('starved');
    other.hear(rumour);
    expect(why(other, 20, 1)).toEqual(['unheard', 10]);
    // Somebody new links the slow one: that does not help.
    const late = at(new OriginNeeds(1), 0);
    late.hear(rumour);
    late.saw(0, 0);
    expect(why(late, 5, 1)[0]).toBe('unheard');
    late.saw(0, 1);
    expect(why(late, 6, 2)[0]).toBe('starved');
    expect(late.takeNews()).toEqual([{ chunk: 0, round: rumour.round + 2 }]);
  });
});
