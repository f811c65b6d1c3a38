import { DecodeError } from '@unfed/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { float16Bits, packHidden, unpackHidden } from './hidden-states.ts';

describe('hidden states as they travel', () => {
  it('float16: every finite value that a half can hold survives unchanged', () => {
    const all = new Uint16Array(65_536).map((_, i) => i);
    const values = unpackHidden(new Uint8Array(all.buffer), { tokens: 1, width: 65_536, precision: 'f16' });
    for (let half = 0; half < 65_536; half++) {
      if (Number.isNaN(values[half])) expect(float16Bits(values[half]) & 0x7c00).toBe(0x7c00);
      else expect(float16Bits(values[half])).toBe(half);
    }
  });

  it('float16: a float becomes a nearest half, ties to even', () => {
    const values = unpackHidden(new Uint8Array(new Uint16Array(0x7c00).map((_, i) => i).buffer), {
      tokens: 1,
      width: 0x7c00,
      precision: 'f16',
    });
    fc.assert(
      fc.property(fc.float({ min: 0, max: 65_000, noNaN: true }), (value) => {
        const half = float16Bits(value);
        const error = Math.abs(values[half] - value);
        if (half > 0) expect(error).toBeLessThanOrEqual(Math.abs(values[half - 1] - value));
        if (half < 0x7bff) expect(error).toBeLessThanOrEqual(Math.abs(values[half + 1] - value));
        if (half > 0 && error === Math.abs(values[half - 1] - value)) expect(half % 2).toBe(0);
      }),
    );
    expect(float16Bits(1e9)).toBe(0x7c00);
    expect(float16Bits(-1e9)).toBe(0xfc00);
    expect(float16Bits(65_520)).toBe(0x7c00);
    expect(float16Bits(65_519)).toBe(0x7bff);
  });

  it('float32: what is packed comes back bit for bit, from any offset, in a buffer of its own', () => {
    fc.assert(
      fc.property(fc.float32Array({ minLength: 1, maxLength: 64 }), fc.nat(7), (hidden, offset) => {
        const packed = packHidden(hidden, 'f32');
        const frame = new Uint8Array(offset + packed.length);
        frame.set(packed, offset);
        const back = unpackHidden(frame.subarray(offset), { tokens: 1, width: hidden.length, precision: 'f32' });
        expect(new Uint8Array(back.buffer)).toEqual(new Uint8Array(packed));
        expect(back.buffer).not.toBe(frame.buffer);
      }),
    );
  });

  it('a payload of another size is refused with what was expected', () => {
    expect(() => unpackHidden(new Uint8Array(12), { tokens: 2, width: 2, precision: 'f32' })).toThrow(DecodeError);
    expect(() => unpackHidden(new Uint8Array(12), { tokens: 2, width: 2, precision: 'f32' })).toThrow(
      /2 × 2 numbers in f32, came 12 bytes/,
    );
  });
});
