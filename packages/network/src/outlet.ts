/**
 * Where a link writes to. libp2p's WebRTC streams copy every message twice and send its length as a message of its own; so
 * the data channel under such a stream is written to directly, in libp2p's framing: a length, then a protobuf of field 2.
 */
import type { Stream } from '@libp2p/interface';
import * as limits from './limits.ts';

export interface Outlet {
  /**
   * Sends these parts as one message.
   * @returns whether it takes more at once; if not, the stream's `drain` tells when it does @throws where the stream ended
   */
  send(parts: readonly Uint8Array[]): boolean;
}

type Channel = Pick<RTCDataChannel, 'readyState' | 'bufferedAmount' | 'bufferedAmountLowThreshold' | 'send'>;

/** @param lowBytes below how much a data channel that was full takes more */
export function outletOf(stream: Stream, lowBytes: number): Outlet {
  const { channel } = stream as { channel?: Partial<Channel> };
  if (!isChannel(channel)) return new StreamOutlet(stream);
  channel.bufferedAmountLowThreshold = lowBytes;
  return new ChannelOutlet(stream, channel);
}

class StreamOutlet implements Outlet {
  readonly #stream: Stream;

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  send(parts: readonly Uint8Array[]): boolean {
    return this.#stream.send(joined(parts));
  }
}

class ChannelOutlet implements Outlet {
  readonly #stream: Stream;
  readonly #channel: Channel;

  constructor(stream: Stream, channel: Channel) {
    this.#stream = stream;
    this.#channel = channel;
  }

  send(parts: readonly Uint8Array[]): boolean {
    const { writeStatus, writableNeedsDrain, writeBufferLength } = this.#stream;
    const isFree = writeStatus === 'writable' && !writableNeedsDrain && writeBufferLength === 0;
    // Behind what waits in the stream, nothing may overtake it; and the stream knows what to say of its end.
    if (!isFree || this.#channel.readyState !== 'open') return this.#stream.send(joined(parts));
    this.#channel.send(framed(parts));
    if (this.#channel.bufferedAmount < limits.dataChannelBufferedBytesMax) return true;
    // The stream tells of a drain when it has heard that it needs one.
    this.#stream.writableNeedsDrain = true;
    return false;
  }
}

function isChannel(channel: Partial<Channel> | undefined): channel is Channel {
  return typeof channel?.send === 'function' && typeof channel.bufferedAmount === 'number';
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  const bytes = new Uint8Array(lengthOf(parts));
  place(parts, bytes, 0);
  return bytes;
}

/** Message, field 2, bytes (https://github.com/libp2p/specs/tree/master/webrtc#multiplexing). */
const messageTag = 0x12;
/** A channel copies what it is given before `send` returns, so one place to put messages together is enough. */
const scratch = new Uint8Array(limits.dataChannelMessageBytesMax);

/** @returns a view that the next call writes over */
function framed(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = lengthOf(parts);
  const bodyBytes = 1 + varintBytes(bytes) + bytes;
  let at = putVarint(0, bodyBytes);
  scratch[at++] = messageTag;
  at = putVarint(at, bytes);
  return scratch.subarray(0, place(parts, scratch, at));
}

function lengthOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

function place(parts: readonly Uint8Array[], target: Uint8Array, start: number): number {
  let at = start;
  for (const part of parts) {
    target.set(part, at);
    at += part.byteLength;
  }
  return at;
}

function varintBytes(value: number): number {
  return value < 1 << 7 ? 1 : value < 1 << 14 ? 2 : 3;
}

/** @param value below 2^21 @returns where it ends */
function putVarint(start: number, value: number): number {
  let at = start;
  let left = value;
  for (; left >= 1 << 7; left >>>= 7) scratch[at++] = (left & 0x7f) | 0x80;
  scratch[at++] = left;
  return at;
}
