import type { Connection, Stream, StreamHandler } from '@libp2p/interface';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { multiaddr } from '@multiformats/multiaddr';
import { randomIdentity } from '@unfed/protocol';
import { Heartbeat } from './heartbeat.ts';
import { heartbeatMs, heartbeatSilentTicksMax, heartbeatSuspectTicks } from './limits.ts';

/** A stream as far as a heartbeat touches it. */
class FakeStream extends EventTarget {
  readonly sent: number[] = [];
  writableNeedsDrain = false;

  send(bytes: Uint8Array): boolean {
    this.sent.push(...bytes);
    return true;
  }

  hear(...bytes: number[]): void {
    this.dispatchEvent(Object.assign(new Event('message'), { data: Uint8Array.from(bytes) }));
  }
}

/** One connection that the other side opened, with its stream, on a clock that the test moves. */
async function heartbeatOnOneConnection() {
  const events = new EventTarget();
  const stream = new FakeStream();
  let handler: StreamHandler | undefined;
  const host = {
    addEventListener: events.addEventListener.bind(events),
    handle: (_protocol: string, given: StreamHandler) => {
      handler = given;
      return Promise.resolve();
    },
  };
  const abort = vi.fn();
  const peer = randomIdentity().peer;
  const connection = {
    id: '1',
    direction: 'inbound',
    remoteAddr: multiaddr(`/webrtc/p2p/${peer}`),
    remotePeer: { toString: () => peer },
    abort,
  } as object as Connection;
  const heartbeat = new Heartbeat(host, () => undefined);
  await heartbeat.start();
  events.dispatchEvent(new CustomEvent('connection:open', { detail: connection }));
  await handler?.(stream as EventTarget as Stream, connection);
  const seconds = (count: number): void => void vi.advanceTimersByTime(count * heartbeatMs);
  return { heartbeat, stream, abort, peer, connection, seconds };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('signs of life', () => {
  it('H1: calls every second, and answers a call at once', async () => {
    const { stream, seconds } = await heartbeatOnOneConnection();
    seconds(2);
    expect(stream.sent).toEqual([1, 1]);
    stream.hear(1);
    stream.hear(2);
    expect(stream.sent).toEqual([1, 1, 2]);
  });

  it('H2: closes a connection after seven silent seconds, and not while anything comes', async () => {
    const { stream, abort, seconds } = await heartbeatOnOneConnection();
    for (let i = 0; i < 5; i++) {
      seconds(heartbeatSilentTicksMax);
      stream.hear(2);
    }
    seconds(heartbeatSilentTicksMax);
    expect(abort).not.toHaveBeenCalled();
    seconds(1);
    expect(abort).toHaveBeenCalledOnce();
  });

  it('H1: anything that a link hears is a sign of life, because calls may wait behind it', async () => {
    const { heartbeat, connection, abort, seconds } = await heartbeatOnOneConnection();
    seconds(heartbeatSilentTicksMax);
    heartbeat.heard(connection);
    seconds(heartbeatSilentTicksMax);
    expect(abort).not.toHaveBeenCalled();
  });

  it('H3: believes sooner in the end of a peer that its relay removed', async () => {
    const { heartbeat, stream, abort, peer, seconds } = await heartbeatOnOneConnection();
    heartbeat.suspect(peer);
    seconds(heartbeatSuspectTicks);
    expect(abort).not.toHaveBeenCalled();
    seconds(1);
    expect(abort).toHaveBeenCalledOnce();

    const other = await heartbeatOnOneConnection();
    other.heartbeat.suspect(other.peer);
    other.stream.hear(2);
    other.seconds(heartbeatSuspectTicks + 1);
    expect(other.abort).not.toHaveBeenCalled();
    expect(stream.sent.length).toBeGreaterThan(0);
  });
});
