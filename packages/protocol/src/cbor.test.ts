import fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { decodeCbor, encodeCbor, fixedBytes, integer, text } from './cbor.ts';

const anything = { what: 'thing', bytesMax: 1 << 20 };
const hex = (digits: string): Uint8Array => Uint8Array.from(Buffer.from(digits, 'hex'));
const refused = (schema: v.GenericSchema, bytes: Uint8Array): void =>
  expect(() => decodeCbor(schema, bytes, anything)).toThrow(expect.objectContaining({ code: 'decode' }));

describe('canonical CBOR', () => {
  it('C1: gives back what was encoded', () => {
    const value = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        fc.string(),
        fc.boolean(),
        fc.constant(null),
        fc.maxSafeInteger(),
        fc.double({ noNaN: true, noDefaultInfinity: true }).filter((number) => !Object.is(number, -0)),
        fc.uint8Array(),
        fc.array(tie('value')),
        fc.dictionary(fc.string(), tie('value'), { noNullPrototype: true }),
      ),
    })).value;
    fc.assert(
      fc.property(value, (each) => void expect(decodeCbor(v.unknown(), encodeCbor(each), anything)).toEqual(each)),
    );
  });

  it('C1: sorts keys as RFC 8949 does', () => {
    const bytes = encodeCbor({ bb: 2, c: 3, a: 1, ['x'.repeat(24)]: 4 });
    expect(Buffer.from(bytes).toString('hex')).toBe(`a4616101616303626262027818${'78'.repeat(24)}04`);
  });

  it('C1: refuses every other encoding of a value', () => {
    for (const [digits, why] of [
      ['1801', 'an integer in two bytes that fits in one'],
      ['fa3f800000', 'a float where an integer serves'],
      ['fb3ff8000000000000', 'a float of eight bytes that fits in two'],
      ['f98000', 'a negative zero'],
      ['a2616201616102', 'keys out of order'],
      ['a2616101616102', 'a key twice'],
      ['9f01ff', 'an indefinite length'],
      ['7f6161ff', 'an indefinite text'],
      ['0101', 'bytes after the end'],
      ['f7', 'undefined'],
      ['f97e00', 'NaN'],
      ['f97c00', 'infinity'],
      ['a10102', 'a key that is no text'],
      ['c001', 'a tag'],
      ['61ff', 'text that is not UTF-8'],
      ['58ff', 'fewer bytes than promised'],
      ['9b7fffffffffffffff', 'a list longer than memory'],
      ['', 'nothing'],
    ] as const) {
      expect(() => decodeCbor(v.unknown(), hex(digits), anything), why).toThrow(
        expect.objectContaining({ code: 'decode' }),
      );
    }
  });

  it('C1: survives lists nested deeper than the stack', () => {
    refused(v.unknown(), new Uint8Array(1 << 20).fill(0x81));
  });

  it('C2: refuses unread what is over its limit', () => {
    const bytes = encodeCbor('four');
    expect(decodeCbor(text(4), bytes, { what: 'word', bytesMax: 5 })).toBe('four');
    expect(() => decodeCbor(text(4), bytes, { what: 'word', bytesMax: 4 })).toThrow(
      'word cannot be decoded: expected at most 4 bytes, came 5 bytes',
    );
  });

  it('C3: refuses unknown keys, those of prototypes too', () => {
    const schema = v.strictObject({ a: integer(0, 9) });
    refused(schema, encodeCbor({ a: 1, b: 2 }));
    refused(schema, encodeCbor({}));
    refused(schema, hex('a1695f5f70726f746f5f5fa1616101'));
    refused(schema, hex('a2616101695f5f70726f746f5f5fa0'));
    expect(Object.hasOwn(Object.prototype, 'a')).toBe(false);
  });

  it('says where the value is wrong', () => {
    const schema = v.strictObject({ list: v.array(v.strictObject({ n: integer(0, 9) })) });
    const bytes = encodeCbor({ list: [{ n: 1 }, { n: 10 }] });
    expect(() => decodeCbor(schema, bytes, anything)).toThrow(/thing \(list\.1\.n\).*expected <=9, came 10/);
  });

  it('checks integers and lengths', () => {
    for (const value of [1.5, -1, 10, '1', null, 2 ** 53]) refused(integer(0, 9), encodeCbor(value));
    refused(integer(0, Number.MAX_SAFE_INTEGER), hex('1b0020000000000000'));
    refused(fixedBytes(3), encodeCbor(new Uint8Array(4)));
    refused(fixedBytes(3), encodeCbor([1, 2, 3]));
  });
});
