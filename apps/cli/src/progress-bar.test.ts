import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { progressBar } from './progress-bar.ts';

/** Everything that is written while these parts are shown. */
function written(columns: number | undefined, parts: readonly (readonly [number, string])[]): string[] {
  const lines: string[] = [];
  const bar = progressBar({ err: (text) => void lines.push(text), columns });
  for (const [part, note] of parts) bar.show(part, note);
  bar.end();
  bar.end();
  return lines;
}

describe('the progress bar', () => {
  it('in a terminal is one line that redraws itself: a bar, the part, and what is made', () => {
    expect(
      written(80, [
        [0, 'embedding'],
        [0.5, 'layer-3'],
        [0.5, 'layer-3'],
        [1, 'head'],
      ]),
    ).toEqual([
      `\r${'░'.repeat(30)}   0 % ${'embedding'.padEnd(24)}`,
      `\r${'█'.repeat(15)}${'░'.repeat(15)}  50 % ${'layer-3'.padEnd(24)}`,
      `\r${'█'.repeat(30)} 100 % ${'head'.padEnd(24)}`,
      '\n',
    ]);
  });

  it('elsewhere is a line every tenth', () => {
    const parts = Array.from({ length: 101 }, (_, i) => [i / 100, `layer-${i}`] as const);
    const lines = written(undefined, parts);
    expect(lines).toHaveLength(11);
    expect([lines[0], lines[1], lines[10]]).toEqual(['  0 % layer-0\n', ' 10 % layer-10\n', '100 % layer-100\n']);
  });

  it('is never wider than the terminal, whatever is shown', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 120 }), fc.double({ noNaN: true }), fc.string(), (columns, part, note) => {
        for (const line of written(columns, [[part, note]])) expect(line.length).toBeLessThanOrEqual(columns);
      }),
    );
  });
});
