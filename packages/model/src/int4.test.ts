import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { halfBits, halfValue } from './float16.ts';
import { packRow, unpackRow } from './int4.ts';

const weight = fc.float({ min: -1000, max: 1000, noNaN: true });

function roundTrip(row: Float32Array): { values: Float32Array; scales: Uint16Array; levels: Uint8Array } {
  const blocks = Math.ceil(row.length / 32);
  const packed = { levels: new Uint8Array(blocks * 16), scales: new Uint16Array(blocks) };
  packRow(row, packed);
  const values = new Float32Array(blocks * 32);
  unpackRow(packed, values);
  return { values, ...packed };
}

describe('rounding to 4 bits', () => {
  test('errs by half a level at most, by one where the other sign has no eighth level', () => {
    fc.assert(
      fc.property(fc.array(weight, { minLength: 1, maxLength: 100 }), (weights) => {
        const row = Float32Array.from(weights);
        const { values, scales } = roundTrip(row);
        row.forEach((value, i) => {
          const scale = halfValue(scales[Math.floor(i / 32)]);
          const levels = value / scale;
          const reached = Math.min(7, Math.max(-8, levels));
          expect(Math.abs(values[i] / scale - reached)).toBeLessThanOrEqual(0.5 + 1e-6);
          // fp16 rounds the scale by 2^-11 of itself, so −8 may be overshot by as much.
          expect(levels).toBeGreaterThan(-8.01 - 8 * (Math.abs(scale) < 1e-4 ? 1 : 0));
        });
      }),
    );
  });

  test('is the same when done again, wherever scales are normal halves', () => {
    const level = fc.integer({ min: -8, max: 7 });
    fc.assert(
      fc.property(
        fc.array(level, { minLength: 31, maxLength: 31 }),
        fc.integer({ min: -10, max: 5 }),
        (levels, power) => {
          const row = Float32Array.from([-8, ...levels].map((value) => value * 2 ** power));
          expect(roundTrip(row).values).toEqual(row);
        },
      ),
    );
  });

  test('keeps zeros, with the scale 1', () => {
    const { values, scales } = roundTrip(new Float32Array(32));
    expect(values.every((value) => value === 0)).toBe(true);
    expect(scales).toEqual(Uint16Array.of(halfBits(1)));
  });

  test('takes the first of equal magnitudes for the scale', () => {
    expect(halfValue(roundTrip(Float32Array.of(1, -1)).scales[0])).toBe(-0.125);
    expect(halfValue(roundTrip(Float32Array.of(-1, 1)).scales[0])).toBe(0.125);
  });

  test('rounds halves to even', () => {
    // Scale 1, so that weights are levels.
    const { values } = roundTrip(Float32Array.of(-8, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 7.5));
    expect([...values.subarray(0, 8)].map((value) => value + 0)).toEqual([-8, 0, 2, 2, 0, -2, -2, 7]);
  });

  test('packs the earlier input in the low half of a byte, as level + 8', () => {
    expect(roundTrip(Float32Array.of(-8, 7, 0, 1)).levels.subarray(0, 2)).toEqual(Uint8Array.of(0xf0, 0x98));
  });

  test.each([Number.NaN, Infinity, -Infinity, 1e6])('refuses %d', (value) => {
    expect(() => roundTrip(Float32Array.of(1, value))).toThrow('a magnitude that int4 with fp16 scales reaches');
  });
});

describe('half precision', () => {
  test('every half is read and written back as it was', () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const value = halfValue(bits);
      if (!Number.isNaN(value)) expect(halfBits(value)).toBe(bits);
    }
  });

  test('a number becomes the nearest half, the even one of two', () => {
    fc.assert(
      fc.property(fc.float({ min: -65_000, max: 65_000, noNaN: true }), (value) => {
        const bits = halfBits(value);
        const error = Math.abs(halfValue(bits) - value);
        for (const neighbour of [bits - 1, bits + 1]) {
          const other = halfValue(neighbour & 0xffff);
          if (Number.isNaN(other) || Math.sign(other) * Math.sign(value) < 0) continue;
          const otherError = Math.abs(other - value);
          expect(error < otherError || (error === otherError && bits % 2 === 0)).toBe(true);
        }
      }),
    );
  });

  test.each([
    [65_519, 0x7bff],
    [65_520, 0x7c00],
    [2 ** -25, 0],
    [2 ** -25 * 1.01, 1],
    [-0, 0x8000],
  ])('%d is %d in bits', (value, bits) => {
    expect(halfBits(value)).toBe(bits);
  });
});
