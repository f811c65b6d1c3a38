import { RealClock } from '@unfed/testing';
import { describe, expect, it } from 'vitest';
import type { RejectReason } from './exchange-frames.ts';
import * as limits from './limits.ts';
import { RateMeter } from './rate-meter.ts';
import { Serving } from './serving.ts';
import { TokenBucket } from './token-bucket.ts';

/** Chunks here are two pieces of two parts each. */
const pieceBytes = 2 * limits.partBytesMax;

/** A promise, and what resolves it. */
function event(): { readonly came: Promise<void>; readonly come: () => void } {
  let come: () => void = () => undefined;
  const came = new Promise<void>((resolve) => (come = resolve));
  return { came, come };
}

describe('serving', () => {
  it('X10: a choke finishes the chunk that is being sent, also what is asked for later, and rejects the rest', async () => {
    const clock = new RealClock();
    const sent: number[] = [];
    const rejected: [number, RejectReason][] = [];
    const [sending, room, left] = [event(), event(), event()];
    const serving = new Serving({
      clock,
      sendPart: async (id) => {
        sent.push(id);
        sending.come();
        await room.came;
      },
      reject: (id, reason) => rejected.push([id, reason]),
      find: (_, { chunk }) => {
        return { key: `${chunk}`, bytes: 2 * pieceBytes, read: () => Promise.resolve(new Uint8Array(2 * pieceBytes)) };
      },
      upload: new TokenBucket(clock),
      taken: new RateMeter(),
      onSent: () => undefined,
      onLeft: left.come,
      onFlood: () => undefined,
    });
    const ask = (id: number, chunk: number, piece: number): void =>
      serving.add({ id, slot: 0, shard: 0, chunk, offset: piece * pieceBytes, bytes: pieceBytes });
    serving.open();
    ask(1, 0, 0);
    ask(2, 1, 0);
    await sending.came;
    serving.choke();
    expect(rejected).toEqual([[2, 'choked']]);
    ask(3, 0, 1);
    ask(4, 1, 0);
    expect(serving.isSending).toBe(true);
    room.come();
    await left.came;
    ask(5, 0, 0);
    expect(sent).toEqual([1, 1, 3, 3]);
    expect(rejected).toEqual([2, 4, 5].map((id) => [id, 'choked']));
    expect(serving.isSending).toBe(false);
  });
});
