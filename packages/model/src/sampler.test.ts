import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { argmax, createSampler, highestIndices } from './sampler.ts';

const logit = fc.float({ min: -30, max: 30, noNaN: true });
const logits = fc.float32Array({ min: -30, max: 30, noNaN: true, minLength: 1, maxLength: 60 });

/** Shares by a plain softmax, most likely first. */
function sortedShares(values: Float32Array, temperature: number): { id: number; share: number }[] {
  const powers = [...values].map((value) => Math.exp(value / temperature));
  const sum = powers.reduce((total, power) => total + power, 0);
  const shares = powers.map((power, id) => ({ id, share: power / sum }));
  return shares.sort((a, b) => values[b.id] - values[a.id] || a.id - b.id);
}

describe('greedy', () => {
  test('takes the highest, the lowest index of equal ones, and ignores what is no number', () => {
    expect(createSampler().next(Float32Array.of(1, 3, 3, 2), [])).toBe(1);
    expect(argmax(Float32Array.of(Number.NaN, -5, -Infinity))).toBe(1);
    expect(argmax(Float32Array.of(-Infinity, -Infinity))).toBe(0);
    expect(() => argmax(Float32Array.of(Number.NaN))).toThrow('at least one number');
  });

  test('does not change the logits it is given', () => {
    const values = Float32Array.of(1, 2, 3);
    createSampler({ repetitionPenalty: 2 }).next(values, [2]);
    expect(values).toEqual(Float32Array.of(1, 2, 3));
  });
});

describe('chance', () => {
  test('is the same for the same seed', () => {
    fc.assert(
      fc.property(logits, fc.nat(), (values, seed) => {
        const draw = () => {
          const sampler = createSampler({ temperature: 1.2, topP: 0.9, seed });
          return Array.from({ length: 8 }, () => sampler.next(values, []));
        };
        expect(draw()).toEqual(draw());
      }),
    );
  });

  test('never leaves the k highest', () => {
    fc.assert(
      fc.property(logits, fc.integer({ min: 1, max: 70 }), fc.nat(), (values, topK, seed) => {
        const sampler = createSampler({ temperature: 2, topK, seed });
        const allowed = highestIndices(values, Math.min(topK, values.length));
        for (let i = 0; i < 10; i++) expect(allowed).toContain(sampler.next(values, []));
      }),
    );
  });

  test('never leaves the tokens that reach p together', () => {
    fc.assert(
      fc.property(logits, fc.double({ min: 0.01, max: 0.99, noNaN: true }), fc.nat(), (values, topP, seed) => {
        const sampler = createSampler({ temperature: 1, topP, seed });
        let before = 0;
        const allowed = sortedShares(values, 1).filter(({ share }) => {
          const within = before < topP + 1e-9;
          before += share;
          return within;
        });
        for (let i = 0; i < 10; i++) expect(allowed.map(({ id }) => id)).toContain(sampler.next(values, []));
      }),
    );
  });

  test('follows the shares of the softmax', () => {
    const values = Float32Array.of(0, 1, 2, -1);
    const sampler = createSampler({ temperature: 0.8, seed: 4 });
    const counts = [0, 0, 0, 0];
    const draws = 20_000;
    for (let i = 0; i < draws; i++) counts[sampler.next(values, [])] += 1;
    for (const { id, share } of sortedShares(values, 0.8)) expect(counts[id] / draws).toBeCloseTo(share, 1.5);
  });

  test('reaches p even where it takes more tokens than are sorted at first', () => {
    const flat = new Float32Array(5000);
    const sampler = createSampler({ temperature: 1, topP: 0.5, seed: 1 });
    const drawn = Array.from({ length: 300 }, () => sampler.next(flat, []));
    expect(Math.max(...drawn)).toBeLessThan(2501);
    expect(Math.max(...drawn)).toBeGreaterThan(2000);
  });
});

test('the penalty makes tokens of the history less likely, whatever their sign', () => {
  const sampler = createSampler({ repetitionPenalty: 1.5 });
  expect(sampler.next(Float32Array.of(3, 2.5), [0, 0])).toBe(1);
  expect(sampler.next(Float32Array.of(-2, -2.5), [0])).toBe(1);
  expect(sampler.next(Float32Array.of(3, 1), [0, 99])).toBe(0);
});

test('partial selection is the start of a full sort', () => {
  fc.assert(
    fc.property(fc.array(logit, { maxLength: 200 }), fc.integer({ min: 1, max: 40 }), (list, count) => {
      const values = Float32Array.from(list);
      const sorted = [...values.keys()].sort((a, b) => values[b] - values[a] || a - b);
      expect(highestIndices(values, count)).toEqual(sorted.slice(0, count));
    }),
  );
});

test.each([
  { temperature: -1 },
  { temperature: Number.NaN },
  { topK: 1.5 },
  { topP: 0 },
  { topP: 1.1 },
  { repetitionPenalty: 0 },
])('refuses %j', (options) => {
  expect(() => createSampler(options)).toThrow(expect.objectContaining({ code: 'invalid-value' }));
});
