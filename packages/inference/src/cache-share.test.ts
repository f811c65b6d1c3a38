import type { Link } from '@unfed/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sessionToEnd } from './cache-share.ts';

const openers = ['a', 'b', 'c', 'd'].map((peer) => ({ peer }) as unknown as Link);

const sessions = fc.array(
  fc
    .record({
      of: fc.nat(openers.length - 1),
      positionsMax: fc.integer({ min: 1, max: 8192 }),
      lastUsedMs: fc.nat(100),
    })
    .map(({ of, ...session }) => ({ ...session, opener: openers[of] })),
  { maxLength: 20 },
);

describe('who gives way where memory is short (S19)', () => {
  it('ending what is named until none is leaves every other opener at most half, or one session', () => {
    fc.assert(
      fc.property(sessions, fc.nat(openers.length - 1), (all, asker) => {
        const held = new Set(all);
        const asking = openers[asker];
        const positions = (of?: Link) =>
          [...held].filter(({ opener }) => of === undefined || opener === of).reduce((n, s) => n + s.positionsMax, 0);
        for (let next = sessionToEnd(held, asking); next !== undefined; next = sessionToEnd(held, asking)) {
          const { opener, lastUsedMs } = next;
          expect(opener).not.toBe(asking);
          expect(positions(opener)).toBeGreaterThan(positions() / 2);
          const others = [...held].filter((session) => session.opener === opener);
          expect(lastUsedMs).toBe(Math.min(...others.map((session) => session.lastUsedMs)));
          held.delete(next);
        }
        for (const opener of openers) {
          const own = [...held].filter((session) => session.opener === opener);
          if (opener !== asking && own.length > 1) expect(positions(opener)).toBeLessThanOrEqual(positions() / 2);
        }
      }),
    );
  });
});
