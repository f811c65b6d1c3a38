import type { Stream } from '@libp2p/interface';
import { streamPair } from '@libp2p/utils';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import './polyfills.node.ts';
import { dataChannelBufferedBytesMax, dataChannelMessageBytesMax } from './limits.ts';
import { outletOf } from './outlet.ts';

/** A WebRTC stream as libp2p makes it, as far as an outlet looks at it. */
function webRtcStream() {
  const [sent, streamed]: [Uint8Array[], Uint8Array[]] = [[], []];
  const channel = {
    readyState: 'open' as RTCDataChannelState,
    bufferedAmount: 0,
    bufferedAmountLowThreshold: 0,
    send: (message: Uint8Array) => void sent.push(message.slice()),
  };
  const stream = {
    channel,
    writeStatus: 'writable',
    writableNeedsDrain: false,
    writeBufferLength: 0,
    send: (bytes: Uint8Array) => streamed.push(bytes) > 0,
  };
  return { channel, stream, sent, streamed, outlet: outletOf(stream as unknown as Stream, 1000) };
}

/** libp2p's framing, read by hand: a length, then a protobuf whose field 2 is the payload. */
function unframed(message: Uint8Array): Uint8Array {
  let at = 0;
  const varint = (): number => {
    let [value, shift] = [0, 0];
    for (;;) {
      const byte = message[at++] ?? 0;
      value += (byte & 0x7f) * 2 ** shift;
      shift += 7;
      if (byte < 0x80) return value;
    }
  };
  expect(varint()).toBe(message.byteLength - at);
  expect(varint()).toBe((2 << 3) | 2);
  expect(varint()).toBe(message.byteLength - at);
  return message.subarray(at);
}

describe('where a link writes to', () => {
  it('F4: gives a data channel each message whole, in the framing of libp2p', () => {
    const part = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.integer({ min: 16_000, max: 30_000 }).map((bytes) => new Uint8Array(bytes).fill(7)),
    );
    fc.assert(
      fc.property(fc.array(fc.array(part, { minLength: 1, maxLength: 2 }), { maxLength: 4 }), (messages) => {
        const { outlet, sent } = webRtcStream();
        for (const parts of messages) expect(outlet.send(parts)).toBe(true);
        expect(sent.map(unframed).map((bytes) => Buffer.from(bytes))).toEqual(messages.map((it) => Buffer.concat(it)));
        for (const { byteLength } of sent) expect(byteLength).toBeLessThanOrEqual(dataChannelMessageBytesMax);
      }),
    );
  });

  it('asks the stream for a drain when the data channel holds enough, and is woken well before it is empty', () => {
    const { outlet, channel, stream } = webRtcStream();
    expect(channel.bufferedAmountLowThreshold).toBe(1000);
    channel.bufferedAmount = dataChannelBufferedBytesMax;
    expect(outlet.send([Uint8Array.of(1)])).toBe(false);
    expect(stream.writableNeedsDrain).toBe(true);
  });

  it('overtakes nothing that waits in the stream, and leaves its end to the stream', () => {
    const states = [
      ({ channel }: ReturnType<typeof webRtcStream>) => (channel.readyState = 'connecting'),
      ({ stream }: ReturnType<typeof webRtcStream>) => (stream.writableNeedsDrain = true),
      ({ stream }: ReturnType<typeof webRtcStream>) => (stream.writeBufferLength = 1),
      ({ stream }: ReturnType<typeof webRtcStream>) => (stream.writeStatus = 'closing'),
    ];
    for (const enter of states) {
      const at = webRtcStream();
      enter(at);
      at.outlet.send([Uint8Array.of(1), Uint8Array.of(2)]);
      expect([at.sent, at.streamed]).toEqual([[], [Uint8Array.of(1, 2)]]);
    }
  });

  it('writes to a stream without a data channel as to any other', async () => {
    const [near, far] = await streamPair();
    const came = new Promise<Uint8Array>((resolve) =>
      far.addEventListener('message', ({ data }) => resolve(data.subarray())),
    );
    expect(outletOf(near, 0).send([Uint8Array.of(1), Uint8Array.of(2, 3)])).toBe(true);
    expect(await came).toEqual(Uint8Array.of(1, 2, 3));
  });
});
