import { describe, expect, it } from 'vitest';
import { repairInitChannels } from './init-channel-repair.ts';

class Channel extends EventTarget {
  readyState: RTCDataChannelState = 'connecting';

  enter(state: RTCDataChannelState): void {
    this.readyState = state;
    if (state === 'open') this.dispatchEvent(new Event('open'));
    if (state === 'closed') this.dispatchEvent(new Event('close'));
  }
}

/** A browser's class, as far as the transport touches it; a new one each time, because it is changed. */
function repairedConnection(): Pick<RTCPeerConnection, 'createDataChannel'> & { lose(): void } {
  class Connection extends EventTarget {
    connectionState: RTCPeerConnectionState = 'connected';

    createDataChannel(): RTCDataChannel {
      return new Channel() as EventTarget as RTCDataChannel;
    }

    lose(): void {
      this.connectionState = 'closed';
      this.dispatchEvent(new Event('connectionstatechange'));
    }
  }
  repairInitChannels(Connection);
  repairInitChannels(Connection);
  return new Connection();
}

/** What the dialler of @libp2p/webrtc does, one after the other. */
async function dial(channel: RTCDataChannel): Promise<void> {
  const heard = (type: string): Promise<void> =>
    new Promise((resolve, reject) => {
      channel.addEventListener(type, () => resolve(), { once: true });
      channel.addEventListener('error', () => reject(new Error('lost')), { once: true });
    });
  if (channel.readyState !== 'open') await heard('open');
  await heard('close');
}

describe('the repair of the init channel', () => {
  const courses: RTCDataChannelState[][] = [
    ['open', 'closing', 'closed'],
    ['open', 'closed'],
    ['closing', 'closed'],
    ['closed'],
  ];
  for (const course of courses) {
    for (let before = 0; before <= course.length; before++) {
      it(`a dialler that listens after ${before} of ${course.join(', ')} does not hang`, async () => {
        const channel = repairedConnection().createDataChannel('init');
        const fake = channel as EventTarget as Channel;
        for (const state of course.slice(0, before)) fake.enter(state);
        const dialled = dial(channel);
        for (const state of course.slice(before)) {
          await new Promise((resolve) => setImmediate(resolve));
          fake.enter(state);
        }
        await dialled;
        expect(channel.readyState).toBe('closed');
      });
    }
  }

  it('fails a dial whose connection is lost, before or while it listens', async () => {
    for (const when of ['before', 'while'] as const) {
      const connection = repairedConnection();
      const channel = connection.createDataChannel('init');
      if (when === 'before') connection.lose();
      const dialled = dial(channel);
      if (when === 'while') connection.lose();
      await expect(dialled).rejects.toThrow('lost');
    }
  });

  it('leaves other channels alone', () => {
    const channel = repairedConnection().createDataChannel('');
    expect(Object.hasOwn(channel, 'addEventListener')).toBe(false);
  });
});
