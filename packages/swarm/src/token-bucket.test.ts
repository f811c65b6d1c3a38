import { VirtualClock } from '@unfed/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as limits from './limits.ts';
import { TokenBucket } from './token-bucket.ts';

const never = new AbortController().signal;

/** Takes of these sizes, all asked for at once; when each passed. */
async function passTimes(bucket: TokenBucket, clock: VirtualClock, sizes: readonly number[]): Promise<number[]> {
  const startMs = clock.now();
  const takes = sizes.map(async (bytes) => {
    await bucket.take(bytes, never);
    return clock.now() - startMs;
  });
  return clock.until(Promise.all(takes));
}

describe('a token bucket', () => {
  it('lets all pass at once where there is no limit', async () => {
    const clock = new VirtualClock();
    expect(await passTimes(new TokenBucket(clock), clock, [1e9, 1e9, 1])).toEqual([0, 0, 0]);
  });

  it('lets no more pass in any time than its rate and one bucketful', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 64 << 10 }), { minLength: 1, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer({ min: 10_000, max: 10_000_000 }), async (takes, bytesPerSecond) => {
        const clock = new VirtualClock();
        const bucket = new TokenBucket(clock, bytesPerSecond);
        // However long nobody took anything.
        await clock.advance(60_000);
        const times = await passTimes(bucket, clock, takes);
        const bucketBytes = (bytesPerSecond * limits.bucketMs) / 1000;
        let passed = 0;
        for (const [i, atMs] of times.entries()) {
          // A take that is larger than the bucket passes on a full one, and is paid for afterwards.
          expect(passed).toBeLessThanOrEqual(bucketBytes + (bytesPerSecond * atMs) / 1000 + 1e-6);
          passed += takes[i];
        }
        expect(times).toEqual(times.toSorted((a, b) => a - b));
        const slowestMs = (passed / bytesPerSecond) * 1000 + takes.length;
        expect(times.at(-1)).toBeLessThanOrEqual(slowestMs);
      }),
      { numRuns: 40 },
    );
  });

  it('holds a new rate at once, also for those who wait; 0 lets nothing pass', async () => {
    const clock = new VirtualClock();
    const bucket = new TokenBucket(clock, 0);
    let passed = 0;
    for (let i = 0; i < 3; i++) void bucket.take(1000, never).then(() => passed++);
    await clock.advance(1_000_000);
    expect(passed).toBe(0);
    bucket.bytesPerSecond = 1000;
    await clock.advance(1_100);
    expect(passed).toBe(1);
    bucket.bytesPerSecond = Infinity;
    await clock.advance(0);
    expect(passed).toBe(3);
  });

  it('lets those behind pass when one gives up waiting', async () => {
    const clock = new VirtualClock();
    const bucket = new TokenBucket(clock, 1000);
    const abort = new AbortController();
    const first = bucket.take(1_000_000, never);
    await clock.until(first);
    const second = bucket.take(1_000_000, abort.signal);
    const third = bucket.take(1, never);
    abort.abort(new Error('enough'));
    await expect(second).rejects.toThrow('enough');
    await clock.until(third);
    expect(clock.now()).toBeLessThan(1_001_000);
    await expect(bucket.take(1, abort.signal)).rejects.toThrow('enough');
  });
});
