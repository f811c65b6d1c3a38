import { InvalidValueError, randomIdentity } from '@unfed/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as limits from './limits.ts';
import { ListedTimes } from './listed-times.ts';

const peers = Array.from({ length: 4 }, () => randomIdentity().peer);
const [peer] = peers;
if (peer === undefined) throw new Error('no peer');
const startMs = 1_700_000_000_000;
const dayMs = 24 * 3_600_000;

describe('times on the list', () => {
  it('A11: add up over every coming and going, and are the same after a restart at any moment', () => {
    const moves = fc.array(fc.tuple(fc.nat(3), fc.boolean(), fc.nat(100_000), fc.boolean()), { maxLength: 40 });
    fc.assert(
      fc.property(moves, (all) => {
        let times = new ListedTimes();
        let nowMs = startMs;
        const expected = peers.map(() => ({ totalMs: 0, listed: false }));
        for (const [who, comes, waitMs, restarts] of all) {
          nowMs += waitMs;
          for (const each of expected) if (each.listed) each.totalMs += waitMs;
          const one = expected[who];
          const name = peers[who];
          if (one === undefined || name === undefined) continue;
          if (comes) times.begin(name, nowMs);
          else times.end(name, nowMs);
          one.listed = comes;
          if (restarts) {
            times = ListedTimes.decode(times.encode(nowMs));
            for (const each of expected) each.listed = false;
          }
        }
        expect(peers.map((each) => times.listedMs(each, nowMs))).toEqual(expected.map(({ totalMs }) => totalMs));
      }),
    );
  });

  it('A11: lose nothing to a clock that is set back', () => {
    const times = new ListedTimes();
    times.begin(peer, startMs);
    times.end(peer, startMs + 1000);
    times.begin(peer, startMs + 2000);
    times.end(peer, startMs);
    expect(times.listedMs(peer, startMs)).toBe(1000);
  });

  it('A11: are forgotten 90 days after the last, not before', () => {
    const times = new ListedTimes();
    times.begin(peer, startMs);
    times.end(peer, startMs + dayMs);
    const kept = ListedTimes.decode(times.encode(startMs + 91 * dayMs));
    expect(kept.listedMs(peer, startMs)).toBe(dayMs);
    expect(ListedTimes.decode(times.encode(startMs + 91 * dayMs + 1)).size).toBe(0);
  });

  it('push out those who came and went, and nobody who stayed', () => {
    const times = new ListedTimes();
    const stayed = randomIdentity().peer;
    times.begin(stayed, startMs - dayMs);
    times.end(stayed, startMs);
    const here = randomIdentity().peer;
    times.begin(here, startMs);
    const strangers = Array.from({ length: limits.listedPeersMax }, (_, i) => `stranger ${i}` as typeof peer);
    for (const [i, stranger] of strangers.entries()) {
      times.begin(stranger, startMs + i);
      times.end(stranger, startMs + i + 1);
    }
    expect(times.size).toBeLessThanOrEqual(limits.listedPeersMax);
    expect(times.listedMs(stayed, startMs)).toBe(dayMs);
    expect(times.listedMs(here, startMs + 5)).toBe(5);
  });

  it('refuse a text that no relay wrote', () => {
    const damaged = ['', '{}', '[]', '{"version":2,"peers":[]}', `{"version":1,"peers":[["${peer}",-1,0]]}`];
    for (const text of [...damaged, '{"version":1,"peers":[["nobody",1,0]]}']) {
      expect(() => ListedTimes.decode(text)).toThrow(InvalidValueError);
    }
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(() => ListedTimes.decode(text)).toThrow(InvalidValueError);
      }),
    );
  });
});
