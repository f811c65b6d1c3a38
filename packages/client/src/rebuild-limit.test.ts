import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as limits from './limits.ts';
import { RebuildLimit, RebuildLimitError } from './rebuild-limit.ts';

describe('circuits of one conversation', () => {
  it('are at most a burst and one more for each minute, and the error says when the next may be built', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3 * limits.rebuildEveryMs), { maxLength: 60 }), (waits) => {
        let nowMs = 0;
        const limit = new RebuildLimit(() => nowMs);
        let built = 0;
        for (const waitMs of waits) {
          nowMs += waitMs;
          try {
            limit.take();
            built++;
          } catch (error) {
            if (!(error instanceof RebuildLimitError)) throw error;
            nowMs += Math.ceil(error.waitMs);
            limit.take();
            built++;
          }
          expect(built).toBeLessThanOrEqual(limits.rebuildsBurst + nowMs / limits.rebuildEveryMs + 1e-6);
        }
      }),
    );
  });
});
