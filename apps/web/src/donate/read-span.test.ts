import { describe, expect, it } from 'vitest';
import { readSpan } from './read-span.ts';

describe('readSpan', () => {
  it('takes both ends as included, as the page shows them', () => {
    expect(readSpan('0', '1', 8)).toEqual({ first: 0, last: 2 });
    expect(readSpan(' 7', '7 ', 8)).toEqual({ first: 7, last: 8 });
  });

  it('leaves the choice to the pool where nothing is typed', () => {
    expect(readSpan('', ' ', 8)).toBe('any');
  });

  it('refuses what is no span of the model', () => {
    for (const [first, last] of [
      ['1', ''],
      ['', '2'],
      ['3', '2'],
      ['0', '8'],
      ['-1', '2'],
      ['1.5', '2'],
      ['a', 'b'],
    ]) {
      expect(readSpan(first, last, 8)).toBe('wrong');
    }
  });
});
