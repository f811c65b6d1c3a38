import { describe, expect, it } from 'vitest';
import { bytesText, memoryText, peerText, rangeText, rateText, storedText } from './format.ts';

describe('numbers as people read them', () => {
  it('sizes', () => {
    expect([0, 999, 1000, 2_340_000, 41_000_000, 999_600_000].map(bytesText)).toEqual([
      '0 bytes',
      '999 bytes',
      '1 kB',
      '2.3 MB',
      '41 MB',
      '1 GB',
    ]);
    expect([1023, 1024, 90 * 2 ** 20, 2 ** 30 - 1, 1.5 * 2 ** 30].map(storedText)).toEqual([
      '1,023 bytes',
      '1 kB',
      '90 MB',
      '1 GB',
      '1.5 GB',
    ]);
    expect([256, 1024, 1448].map(memoryText)).toEqual(['256 MB', '1 GB', '1.4 GB']);
  });

  it('rates', () => {
    expect([0.256, 31.44, 1234.5].map(rateText)).toEqual(['0.26', '31.4', '1,235']);
  });

  it('ranges', () => {
    expect(rangeText([4, 1250])).toBe('4 to 1,250');
  });

  it('peers by their ends, for their starts are alike', () => {
    expect(peerText('12D3KooWabcdefgh')).toBe('…abcdefgh');
  });
});
