import { manifestHash } from '@unfed/protocol';
import { VirtualClock } from '@unfed/testing';
import { describe, expect, it } from 'vitest';
import type { ChunkRequest } from './exchange-frames.ts';
import type { ExchangedModel } from './exchanged-model.ts';
import { Fetching } from './fetching.ts';
import * as limits from './limits.ts';
import { TokenBucket } from './token-bucket.ts';

const chunkBytes = 1 << 20;
const chunks = { at: (chunk: number) => ({ shard: 0, chunk, bytes: chunkBytes }) };
const model = { manifest: manifestHash('00'.repeat(32)), chunks } as unknown as ExchangedModel;

/** A peer that is asked and does not answer by itself. */
function fetchFrom() {
  const clock = new VirtualClock();
  const requests: ChunkRequest[] = [];
  const received: number[] = [];
  const fetching = new Fetching({
    clock,
    request: (request) => requests.push(request),
    cancel: () => undefined,
    progressed: () => undefined,
    received: (_, chunk) => received.push(chunk),
    refused: () => undefined,
    download: new TokenBucket(clock),
  });
  return { clock, requests, received, fetching };
}

describe('fetching from a peer', () => {
  it('P10: asks in pieces, and for more when some of it came', async () => {
    const { clock, requests, received, fetching } = fetchFrom();
    fetching.start(model, 0, 0);
    await clock.advance(0);
    expect(requests.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(limits.window.bytesMin);
    for (let next = 0; next < requests.length; next++) {
      const { id, offset, bytes } = requests[next];
      fetching.take(id, offset, new Uint8Array(bytes));
      await clock.advance(1);
    }
    expect(received).toEqual([0]);
    expect(requests.map(({ offset }) => offset)).toEqual(
      Array.from({ length: chunkBytes / limits.requestBytes }, (_, i) => i * limits.requestBytes),
    );
  });

  it('P10: asks for what waited when another chunk is cancelled', async () => {
    const { clock, requests, fetching } = fetchFrom();
    fetching.start(model, 0, 0);
    fetching.start(model, 1, 0);
    await clock.advance(0);
    expect(requests.map(({ chunk }) => chunk)).not.toContain(1);
    fetching.cancel(model, 0);
    await clock.advance(0);
    expect(requests.map(({ chunk }) => chunk)).toContain(1);
  });
});
