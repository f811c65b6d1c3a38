import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bitmap } from './bitmap.ts';

const set = (length: number): fc.Arbitrary<number[]> =>
  length === 0 ? fc.constant([]) : fc.uniqueArray(fc.nat(length - 1));

describe('bitmap', () => {
  it('X4: holds what was added and not what was deleted, and comes back from its bytes', () => {
    const sets = fc.nat(70).chain((length) => fc.tuple(fc.constant(length), set(length), set(length)));
    fc.assert(
      fc.property(sets, ([length, added, deleted]) => {
        const bitmap = new Bitmap(length);
        for (const index of added) expect(bitmap.add(index)).toBe(true);
        for (const index of deleted) expect(bitmap.delete(index)).toBe(added.includes(index));
        const expected = added.filter((index) => !deleted.includes(index)).sort((a, b) => a - b);
        expect([...bitmap.indexes()]).toEqual(expected);
        expect(bitmap.count).toBe(expected.length);
        const back = Bitmap.from(bitmap.bytes(), length);
        expect([[...back.indexes()], back.count]).toEqual([expected, expected.length]);
      }),
    );
  });

  it('X4: refuses bytes of another size, and bits behind the last chunk', () => {
    const decode = { code: 'decode' };
    for (const [bytes, length] of [
      [0, 1],
      [2, 8],
      [1, 9],
      [1, 0],
    ] as const) {
      expect(() => Bitmap.from(new Uint8Array(bytes), length)).toThrow(expect.objectContaining(decode));
    }
    expect(() => Bitmap.from(Uint8Array.of(0b100), 2)).toThrow(expect.objectContaining(decode));
    expect(Bitmap.from(Uint8Array.of(0b11), 2).isFull).toBe(true);
    expect(Bitmap.full(17).isFull).toBe(true);
  });

  it('refuses chunks outside the shard', () => {
    const bitmap = new Bitmap(9);
    for (const index of [-1, 9, 1.5, NaN]) {
      expect(() => bitmap.add(index)).toThrow(expect.objectContaining({ code: 'invalid-value' }));
      expect(() => bitmap.delete(index)).toThrow(expect.objectContaining({ code: 'invalid-value' }));
      expect(bitmap.has(index)).toBe(false);
    }
  });
});
