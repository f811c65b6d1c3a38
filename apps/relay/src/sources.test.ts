import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RateLimiter } from './rate-limiter.ts';
import { sourceOf } from './sources.ts';

describe('sources', () => {
  it('are IPv4 addresses, in either form', () => {
    expect(sourceOf('192.0.2.7')).toBe('192.0.2.7');
    expect(sourceOf('::ffff:192.0.2.7')).toBe('192.0.2.7');
  });

  it('are the /64 of IPv6 addresses, however they are written', () => {
    const all = ['2001:db8:0:1::5', '2001:db8:0:1:a:b:c:d', '2001:0DB8:0000:0001::', '2001:db8:0:1::1%eth0'];
    expect(new Set(all.map(sourceOf))).toEqual(new Set(['2001:db8:0:1']));
    expect(sourceOf('::1')).toBe('0:0:0:0');
    expect(sourceOf('2001:db8:0:2::5')).not.toBe(sourceOf('2001:db8:0:1::5'));
  });

  it('are one for all that is no address', () => {
    fc.assert(fc.property(fc.string(), (text) => typeof sourceOf(text) === 'string'));
    expect([sourceOf(undefined), sourceOf('x'), sourceOf('1.2.3')]).toEqual(['unknown', 'unknown', 'unknown']);
  });
});

describe('rate limiter', () => {
  it('never lets more through than a burst and what has been refilled since', () => {
    const steps = fc.array(fc.nat(500), { maxLength: 200 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 50 }),
        steps,
        (burstMax, perSecond, waits) => {
          let nowMs = 0;
          const limiter = new RateLimiter({ burstMax, perSecond, sourcesMax: 10, nowMs: () => nowMs });
          let allowed = 0;
          for (const waitMs of waits) {
            nowMs += waitMs;
            if (limiter.allows('a')) allowed++;
            expect(allowed).toBeLessThanOrEqual(burstMax + (nowMs / 1000) * perSecond + 1e-6);
          }
        },
      ),
    );
  });

  it('counts each source apart, and refills in time', () => {
    let nowMs = 0;
    const limiter = new RateLimiter({ burstMax: 1, perSecond: 1, sourcesMax: 10, nowMs: () => nowMs });
    expect([limiter.allows('a'), limiter.allows('a'), limiter.allows('b')]).toEqual([true, false, true]);
    nowMs = 1000;
    expect(limiter.allows('a')).toBe(true);
  });

  it('remembers only so many sources, and forgets the one that asked longest ago', () => {
    const limiter = new RateLimiter({ burstMax: 1, perSecond: 0, sourcesMax: 2, nowMs: () => 0 });
    for (const source of ['a', 'b', 'a', 'c']) limiter.allows(source);
    expect(limiter.sources).toBe(2);
    expect([limiter.allows('a'), limiter.allows('b')]).toEqual([false, true]);
  });
});
