import { DecodeError } from '@unfed/protocol';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseSafetensorsHeader, safetensorsHeaderBytes, widenFloats } from './safetensors.ts';

const encoder = new TextEncoder();
const json = (value: unknown) => encoder.encode(JSON.stringify(value));

function parse(header: unknown, dataBytes: number) {
  const bytes = json(header);
  return parseSafetensorsHeader(bytes, { file: 'model.safetensors', fileBytes: 8 + bytes.byteLength + dataBytes });
}

const a = { dtype: 'F32', shape: [2, 3], data_offsets: [0, 24] };
const b = { dtype: 'BF16', shape: [4], data_offsets: [24, 32] };

describe('a header', () => {
  test('places every tensor in the file, metadata aside', () => {
    const header = { __metadata__: { format: 'pt' }, b, a };
    const start = 8 + json(header).byteLength;
    const tensors = parse(header, 32);
    expect([...tensors.keys()]).toEqual(['b', 'a']);
    expect(tensors.get('a')).toEqual({ dtype: 'F32', shape: [2, 3], start, end: start + 24 });
    expect(tensors.get('b')).toEqual({ dtype: 'BF16', shape: [4], start: start + 24, end: start + 32 });
  });

  test.each([
    ['a truncated file', { a, b }, 31],
    ['a file with bytes to spare', { a, b }, 33],
    ['tensors that overlap', { a, b: { ...b, data_offsets: [20, 28] } }, 28],
    ['a hole between tensors', { a, b: { ...b, data_offsets: [28, 36] } }, 36],
    ['a tensor beyond the end', { a: { ...a, shape: [2, 300], data_offsets: [0, 2400] } }, 24],
    ['a shape of another size', { a: { ...a, shape: [3, 3] } }, 24],
    ['a type of another size', { a: { ...a, dtype: 'F16' } }, 24],
    ['a type that does not exist', { a: { ...a, dtype: 'F12' } }, 24],
    ['offsets that run backwards', { a: { ...a, data_offsets: [24, 0] } }, 24],
    ['a size that overflows', { a: { ...a, shape: [2 ** 40, 2 ** 40] } }, 24],
    ['a negative size', { a: { ...a, shape: [-2, -3] } }, 24],
    ['no offsets', { a: { dtype: 'F32', shape: [1] } }, 4],
    ['an array', [a], 24],
  ])('with %s is refused', (_, header, dataBytes) => {
    expect(() => parse(header, dataBytes)).toThrow(DecodeError);
  });

  test('of any bytes is parsed or refused, never anything else', () => {
    const refusesOrParses = (bytes: Uint8Array, fileBytes: number) => {
      try {
        parseSafetensorsHeader(bytes, { file: 'fuzz', fileBytes });
      } catch (error) {
        expect(error).toBeInstanceOf(DecodeError);
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), refusesOrParses));
    fc.assert(fc.property(fc.json(), fc.nat(), (text, fileBytes) => refusesOrParses(encoder.encode(text), fileBytes)));
    const tensor = fc.record(
      {
        dtype: fc.constantFrom('F32', 'BF16', 'F16', 'X'),
        shape: fc.array(fc.integer()),
        data_offsets: fc.array(fc.integer(), { maxLength: 3 }),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.dictionary(fc.string(), tensor), fc.nat(), (header, bytes) =>
        refusesOrParses(json(header), bytes),
      ),
    );
  });
});

describe("a header's length", () => {
  const lengthOf = (bytes: Uint8Array, fileBytes: number) =>
    safetensorsHeaderBytes(bytes, { file: 'model.safetensors', fileBytes });

  test('is what the first eight bytes say', () => {
    expect(lengthOf(Uint8Array.of(44, 1, 0, 0, 0, 0, 0, 0), 1000)).toBe(300);
  });

  test.each([
    ['a file too short for it', Uint8Array.of(1, 2, 3), 3],
    ['more than the file', Uint8Array.of(0, 4, 0, 0, 0, 0, 0, 0), 1000],
    ['more than the limit', Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 0), 2 ** 40],
    ['nothing', new Uint8Array(8), 1000],
    ['a length that no number holds', new Uint8Array(8).fill(255), 1000],
  ])('is refused when it is %s', (_, bytes, fileBytes) => {
    expect(() => lengthOf(bytes, fileBytes)).toThrow(DecodeError);
  });
});

test('floats of every type are widened exactly', () => {
  expect([...widenFloats(Uint8Array.of(0, 0, 128, 191), 'F32', 'x')]).toEqual([-1]);
  expect([...widenFloats(Uint8Array.of(0, 60, 1, 0), 'F16', 'x')]).toEqual([1, 2 ** -24]);
  expect([...widenFloats(Uint8Array.of(128, 63, 73, 64), 'BF16', 'x')]).toEqual([1, 3.140625]);
  expect(() => widenFloats(new Uint8Array(8), 'I64', 'x')).toThrow(DecodeError);
});
