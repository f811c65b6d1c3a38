/** The arithmetic of the benchmarks. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { interleave, median, ratio } from './measure.ts';

it('half of the values are at most the median and half at least', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 1 }), (values) => {
      const middle = median(values);
      expect(values.filter((value) => value <= middle).length).toBeGreaterThanOrEqual(values.length / 2);
      expect(values.filter((value) => value >= middle).length).toBeGreaterThanOrEqual(values.length / 2);
    }),
  );
});

it('the median of nothing is an error, not a number', () => {
  expect(() => median([])).toThrow('expected at least one value');
});

it('a busy round changes no ratio', () => {
  expect(ratio([10, 50, 12], [20, 100, 24])).toBe(0.5);
  expect(() => ratio([1, 2], [1])).toThrow('expected 2 denominators, came 1');
});

it('each round runs every variant once, and each variant comes first in turn', async () => {
  const order: string[] = [];
  const variant = (name: string) => () => Promise.resolve(order.push(name));
  const measured = await interleave({ a: variant('a'), b: variant('b') }, 3);
  expect(order).toEqual(['a', 'b', 'b', 'a', 'a', 'b']);
  expect(measured).toEqual({ a: [1, 4, 5], b: [2, 3, 6] });
});

it('a signal ends the rounds', async () => {
  const controller = new AbortController();
  const once = () => Promise.resolve(1).finally(() => controller.abort(new Error('enough')));
  await expect(interleave({ once }, 5, controller.signal)).rejects.toThrow('enough');
});
