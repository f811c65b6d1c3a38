import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BandwidthShare } from './bandwidth-share.ts';
import * as limits from './limits.ts';

const mebibyte = 1 << 20;

describe('the share of the line for chunks', () => {
  it('is all of it while no answer needs it', () => {
    const share = new BandwidthShare();
    share.update(false, 5 * mebibyte);
    expect(share.bytesPerSecond).toBe(Infinity);
  });

  it('is a part of what passed before, and stays so while the rate follows it down', () => {
    const share = new BandwidthShare();
    share.update(true, 5 * mebibyte);
    expect(share.bytesPerSecond).toBe(2 * mebibyte);
    share.update(true, 2 * mebibyte);
    expect(share.bytesPerSecond).toBe(2 * mebibyte);
    share.update(false, 2 * mebibyte);
    expect(share.bytesPerSecond).toBe(Infinity);
  });

  it('stays between its limits, whatever the rate', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e12, noNaN: true }), (rate) => {
        const share = new BandwidthShare();
        share.update(true, rate);
        expect(share.bytesPerSecond).toBeGreaterThanOrEqual(limits.bulkBytesPerSecondMin);
        expect(share.bytesPerSecond).toBeLessThanOrEqual(limits.bulkBytesPerSecondMax);
      }),
    );
  });
});
