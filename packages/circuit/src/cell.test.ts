import { UnfedError } from '@unfed/protocol';
import { arbitraryBytes } from '@unfed/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat } from './bytes.ts';
import {
  cellTypes,
  cookieBody,
  decodeCell,
  destroyBody,
  encodeCell,
  handshakeBody,
  readCookieBody,
  readDestroyBody,
  readHandshakeBody,
} from './cell.ts';
import { circuitReasons } from './errors.ts';
import * as limits from './limits.ts';
import { seededBytes } from './seeded-random.fixture.ts';

describe('cells (C4)', () => {
  it('are read as they were written, and all have one size', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...cellTypes),
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        fc.nat(),
        (type, circuit, seed) => {
          const cell = { type, circuit, body: seededBytes(seed)(limits.bodyBytes) };
          const frame = encodeCell(cell);
          expect(frame).toHaveLength(limits.cellBytes);
          expect(decodeCell(frame)).toEqual(cell);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('any bytes are a cell or a typed error', () => {
    const whole = fc.uint8Array({ minLength: 5, maxLength: 5 }).map((head) => {
      return concat(head, new Uint8Array(limits.cellBytes - head.length));
    });
    fc.assert(
      fc.property(fc.oneof(arbitraryBytes(300), whole), (bytes) => {
        try {
          const cell = decodeCell(bytes);
          expect(cellTypes).toContain(cell.type);
          expect(encodeCell(cell)).toEqual(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(UnfedError);
        }
      }),
    );
  });

  it('carry handshakes, cookies and reasons, and fill up with random bytes', () => {
    const random = seededBytes(1);
    const handshake = random(300);
    expect(readHandshakeBody(handshakeBody(handshake, random))).toEqual(handshake);
    const cookie = random(16);
    expect(readCookieBody(cookieBody(cookie, random))).toEqual(cookie);
    for (const reason of circuitReasons) expect(readDestroyBody(destroyBody(reason, random))).toBe(reason);
    expect(readDestroyBody(new Uint8Array(limits.bodyBytes).fill(255))).toBe('internal');
    expect(() => readHandshakeBody(new Uint8Array(limits.bodyBytes).fill(255))).toThrow(UnfedError);
  });
});
