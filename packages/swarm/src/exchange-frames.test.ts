import { limits as protocolLimits, manifestHash, UnfedError } from '@unfed/protocol';
import { arbitraryBytes, mutated } from '@unfed/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeExchangeFrame, encodeExchangeFrame, partHeaderBytes, type ExchangeFrame } from './exchange-frames.ts';
import * as limits from './limits.ts';

const u16 = fc.nat(0xffff);
const u32 = fc.nat(0xffff_ffff);
const slot = fc.nat(limits.slotsMax - 1);
const chunk = fc.record({ shard: u16, chunk: u16 });
const range = fc
  .tuple(fc.nat(protocolLimits.chunkBytes - 1), fc.nat(protocolLimits.chunkBytes - 1))
  .map(([offset, more]) => ({ offset, bytes: 1 + (more % (protocolLimits.chunkBytes - offset)) }));

const frames: fc.Arbitrary<ExchangeFrame> = fc.oneof(
  fc.record({ kind: fc.constant('hello' as const), slot, manifest: fc.constant(manifestHash('0f'.repeat(32))) }),
  fc.record({
    kind: fc.constant('have' as const),
    slot,
    shard: u16,
    bitmap: fc.uint8Array({ minLength: 1, maxLength: 1024 }),
  }),
  fc.record({ kind: fc.constant('gained' as const), slot, chunks: fc.array(chunk, { minLength: 1, maxLength: 20 }) }),
  fc.record({
    kind: fc.constant('heard' as const),
    slot,
    chunks: fc.array(
      fc.record({ shard: u16, chunk: u16, round: fc.integer({ min: 1, max: limits.rumourRoundsMax }) }),
      {
        minLength: 1,
        maxLength: 20,
      },
    ),
  }),
  fc
    .tuple(u32, slot, chunk, range)
    .map(([id, slot, at, part]) => ({ kind: 'request' as const, id, slot, ...at, ...part })),
  fc.record({
    kind: fc.constant('part' as const),
    id: u32,
    offset: u32,
    bytes: fc.uint8Array({ minLength: 1, maxLength: 300 }),
  }),
  fc.record({ kind: fc.constant('cancel' as const), id: u32 }),
  fc.record({ kind: fc.constantFrom('choke' as const, 'unchoke', 'interested', 'uninterested') }),
  fc.record({
    kind: fc.constant('reject' as const),
    id: u32,
    reason: fc.constantFrom('choked' as const, 'not-held', 'too-many', 'outside', 'unknown-model', 'unreadable'),
  }),
  fc.record({
    kind: fc.constant('bye' as const),
    reason: fc.constantFrom('stopped' as const, 'bad-bytes', 'bad-frame', 'flood', 'silent', 'not-needed'),
  }),
  fc.record({
    kind: fc.constant('ask-manifest' as const),
    manifest: fc.constant(manifestHash('0f'.repeat(32))),
    piece: fc.constantFrom('manifest' as const, 'signature'),
    offset: u32,
  }),
  fc.record({
    kind: fc.constant('manifest-part' as const),
    offset: u32,
    totalBytes: u32,
    bytes: fc.uint8Array({ maxLength: 300 }),
  }),
);

const refused = (bytes: Uint8Array): void =>
  expect(() => decodeExchangeFrame(bytes)).toThrow(expect.objectContaining({ code: 'decode' }));

describe('frames of the exchange', () => {
  it('X1, X2: come back as they were, alone in their bytes', () => {
    fc.assert(
      fc.property(frames, (frame) => {
        const bytes = encodeExchangeFrame(frame);
        expect(decodeExchangeFrame(bytes)).toEqual(frame);
        expect(encodeExchangeFrame(decodeExchangeFrame(bytes))).toEqual(bytes);
      }),
    );
  });

  it('X1: refuses frames that are too long, too short, empty or of another kind', () => {
    refused(new Uint8Array(0));
    for (const kind of [0, 15, 255]) refused(Uint8Array.of(kind));
    const part = (bytes: number): Uint8Array =>
      encodeExchangeFrame({ kind: 'part', id: 1, offset: 0, bytes: new Uint8Array(bytes) });
    expect(part(limits.partBytesMax).byteLength).toBe(limits.partBytesMax + partHeaderBytes);
    decodeExchangeFrame(part(limits.partBytesMax));
    refused(part(limits.partBytesMax + 1));
    refused(part(limits.partBytesMax + 100));
    refused(part(0));
    refused(Uint8Array.of(7, 0));
    refused(encodeExchangeFrame({ kind: 'cancel', id: 1 }).subarray(0, 4));
  });

  it('X2: refuses slots, reasons, bitmaps and lists outside their limits', () => {
    refused(encodeExchangeFrame({ kind: 'have', slot: limits.slotsMax, shard: 0, bitmap: Uint8Array.of(1) }));
    refused(encodeExchangeFrame({ kind: 'have', slot: 0, shard: 0, bitmap: new Uint8Array(1025) }));
    refused(encodeExchangeFrame({ kind: 'have', slot: 0, shard: 0, bitmap: new Uint8Array(0) }));
    refused(encodeExchangeFrame({ kind: 'gained', slot: 0, chunks: [] }));
    const many = Array.from({ length: limits.gainedChunksMax + 1 }, () => ({ shard: 0, chunk: 0 }));
    refused(encodeExchangeFrame({ kind: 'gained', slot: 0, chunks: many }));
    refused(Uint8Array.of(11, 0, 0, 0, 0, 7));
    refused(Uint8Array.of(12, 0));
    const long = new Uint8Array(limits.partBytesMax + 1);
    refused(encodeExchangeFrame({ kind: 'manifest-part', offset: 0, totalBytes: 1, bytes: long }));
    refused(Uint8Array.of(13, ...new Uint8Array(32), 3, 0, 0, 0, 0));
  });

  it('X5: refuses requests for nothing and for more than a chunk', () => {
    const request = (offset: number, bytes: number): Uint8Array =>
      encodeExchangeFrame({ kind: 'request', id: 1, slot: 0, shard: 0, chunk: 0, offset, bytes });
    decodeExchangeFrame(request(0, protocolLimits.chunkBytes));
    for (const [offset, bytes] of [
      [0, 0],
      [0, protocolLimits.chunkBytes + 1],
      [protocolLimits.chunkBytes, 1],
      [1, protocolLimits.chunkBytes],
      [0xffff_ffff, 0xffff_ffff],
    ] as const) {
      refused(request(offset, bytes));
    }
  });

  it('X1: gives a frame or a typed error, whatever the bytes are', () => {
    const damaged = frames.chain((frame) => mutated(encodeExchangeFrame(frame)));
    fc.assert(
      fc.property(fc.oneof(arbitraryBytes(200), damaged), (bytes) => {
        let frame: ExchangeFrame;
        try {
          frame = decodeExchangeFrame(bytes);
        } catch (error) {
          if (!(error instanceof UnfedError)) throw error;
          return;
        }
        expect(encodeExchangeFrame(frame)).toEqual(bytes);
      }),
      { numRuns: 3000 },
    );
  });
});
