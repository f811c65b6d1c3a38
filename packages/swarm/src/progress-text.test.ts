import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesText, durationText, progressLine, secondsLeft, type ProgressFigures } from './progress-text.ts';

const MiB = 1 << 20;
const half: ProgressFigures = {
  doneBytes: 32 * MiB,
  totalBytes: 64 * MiB,
  bytesPerSecond: 8 * MiB,
  peers: 5,
  seed: true,
};

const figures = fc.record({
  doneBytes: fc.nat(2 ** 40),
  totalBytes: fc.nat(2 ** 40),
  bytesPerSecond: fc.nat(2 ** 30),
  peers: fc.nat(50),
  seed: fc.boolean(),
  paused: fc.boolean(),
});

describe('progress text', () => {
  it('names bytes in the unit that needs the fewest digits', () => {
    expect([0, 512, 1024, 1536, 38 * MiB, 1023.7 * 1024, 1.5 * 1024 ** 3, 2e15].map(bytesText)).toEqual([
      '0 B',
      '512 B',
      '1.0 KiB',
      '1.5 KiB',
      '38 MiB',
      '1.0 MiB',
      '1.5 GiB',
      '1819 TiB',
    ]);
  });

  it('names durations in two units, rounded up', () => {
    expect([0, 7.2, 59.5, 60, 200, 3600, 7230.5].map(durationText)).toEqual([
      '0 s',
      '8 s',
      '1 min',
      '1 min',
      '3 min 20 s',
      '1 h',
      '2 h 1 min',
    ]);
  });

  it('says how much, how fast, from whom and how long', () => {
    expect(progressLine(half, 120)).toBe(
      '[████████████████░░░░░░░░░░░░░░░░]  50 %  32 MiB of 64 MiB  8.0 MiB/s  5 peers and the seed  4 s left',
    );
    expect(progressLine({ ...half, peers: 1, seed: false }, 60)).toBe(
      ' 50 %  32 MiB of 64 MiB  8.0 MiB/s  1 peer  4 s left',
    );
  });

  it('says complete, paused, or what it waits for', () => {
    expect(progressLine({ ...half, doneBytes: 64 * MiB }, 40)).toBe('100 %  64 MiB of 64 MiB  complete');
    expect(progressLine({ ...half, paused: true }, 40)).toBe(' 50 %  32 MiB of 64 MiB  paused');
    expect(progressLine({ ...half, bytesPerSecond: 0, peers: 0 }, 60)).toContain('the seed  waiting');
    expect(progressLine({ ...half, bytesPerSecond: 0, peers: 0, seed: false }, 60)).toContain('no sources  waiting');
  });

  it('never says 100 % before all of it is there', () => {
    expect(progressLine({ ...half, doneBytes: 64 * MiB - 1 }, 60)).toContain(' 99 %');
  });

  it('stays within the terminal, whatever the figures', () => {
    fc.assert(
      fc.property(figures, fc.integer({ min: 1, max: 200 }), (any, columns) => {
        const line = progressLine(any, columns);
        expect(line.length).toBeLessThanOrEqual(columns);
        expect(line).not.toMatch(/NaN|undefined|Infinity|\n/);
      }),
    );
  });

  it('knows no time left while nothing comes', () => {
    expect(secondsLeft({ ...half, bytesPerSecond: 0 })).toBeUndefined();
    expect(secondsLeft({ ...half, doneBytes: 64 * MiB, bytesPerSecond: 0 })).toBe(0);
  });
});
