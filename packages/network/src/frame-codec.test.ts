import { DecodeError } from '@unfed/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  encodeCredit,
  encodeGoodbye,
  encodeMessages,
  FrameDecoder,
  headerBytes,
  creditBytesMax,
} from './frame-codec.ts';

type Item = { kind: 'frame'; bytes: number[] } | { kind: 'credit'; bytes: number } | { kind: 'goodbye' };

function collect(frameBytesMax = 1 << 16): { items: Item[]; decoder: FrameDecoder; frames: Uint8Array[] } {
  const items: Item[] = [];
  const frames: Uint8Array[] = [];
  const decoder = new FrameDecoder(frameBytesMax, {
    frame: (frame) => {
      frames.push(frame);
      items.push({ kind: 'frame', bytes: [...frame] });
    },
    word: (word) => items.push(word),
  });
  return { items, decoder, frames };
}

function encode(item: Item): Uint8Array {
  if (item.kind === 'credit') return encodeCredit(item.bytes);
  if (item.kind === 'goodbye') return encodeGoodbye();
  return Buffer.concat([...encodeMessages(Uint8Array.from(item.bytes), 64)].flat());
}

const item: fc.Arbitrary<Item> = fc.oneof(
  fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 300 }).map((bytes) => ({ kind: 'frame' as const, bytes })),
  fc.integer({ min: 1, max: creditBytesMax }).map((bytes) => ({ kind: 'credit' as const, bytes })),
  fc.constant({ kind: 'goodbye' as const }),
);

describe('frames on a stream of bytes', () => {
  it('F1 F2 F3: any fragmentation gives the same frames and words, in order', () => {
    fc.assert(
      fc.property(fc.array(item, { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 90 })), (sent, cuts) => {
        const all = Buffer.concat(sent.map(encode));
        const { items, decoder } = collect();
        let at = 0;
        for (const cut of cuts) {
          decoder.push(all.subarray(at, at + cut));
          at = Math.min(all.byteLength, at + cut);
        }
        decoder.push(all.subarray(at));
        expect(items).toEqual(sent);
      }),
    );
  });

  it('F4: header and payload of a small frame are one message, and no message is longer than asked', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: 5, max: 5000 }), (bytes, messageBytes) => {
        const messages = [...encodeMessages(new Uint8Array(bytes), messageBytes)].map((parts) => Buffer.concat(parts));
        expect(messages.length).toBe(Math.max(1, Math.ceil((bytes + headerBytes) / messageBytes)));
        expect(Math.max(...messages.map(({ byteLength }) => byteLength))).toBeLessThanOrEqual(messageBytes);
      }),
    );
  });

  it('gives a frame that lies within one piece as a view of it', () => {
    const { decoder, frames } = collect();
    const piece = encode({ kind: 'frame', bytes: [1, 2, 3] });
    decoder.push(piece);
    expect(frames[0]?.buffer).toBe(piece.buffer);
  });

  it('F5: a length over the limit is a typed error, before anything is allocated for it', () => {
    const { decoder } = collect(100);
    const header = new Uint8Array(4);
    new DataView(header.buffer).setUint32(0, 101, true);
    expect(() => decoder.push(header)).toThrow(DecodeError);
  });

  it('whatever the bytes are, gives frames within the limit or a typed error', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 10 }), (pieces) => {
        const { decoder, frames } = collect(50);
        try {
          for (const piece of pieces) decoder.push(piece);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
        expect(frames.every((frame) => frame.byteLength <= 50)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});
