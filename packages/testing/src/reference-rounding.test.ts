import { packRow, unpackRow } from '@unfed/model';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { roundedTo4Bits } from './reference-rounding.ts';

test('packed weights mean what plain rounding gives', () => {
  const weights = fc.array(fc.float({ min: -1000, max: 1000, noNaN: true }), { minLength: 1, maxLength: 70 });
  fc.assert(
    fc.property(weights, (list) => {
      const row = Float32Array.from(list);
      const blocks = Math.ceil(row.length / 32);
      const packed = { levels: new Uint8Array(16 * blocks), scales: new Uint16Array(blocks) };
      packRow(row, packed);
      const values = new Float32Array(32 * blocks);
      unpackRow(packed, values);
      const plain = roundedTo4Bits(row, row.length);
      // −0 and 0 are the same weight.
      row.forEach((_, i) => expect(values[i] + 0).toBe(Math.fround(plain[i]) + 0));
    }),
  );
});
