import { multiaddr } from '@multiformats/multiaddr';
import { randomIdentity } from '@unfed/protocol';
import { describe, expect, it } from 'vitest';
import { sharedOptions, webRtcOptions } from './libp2p-options.ts';
import { dataChannelMessageBytesMax, messageBytesMaxByProtocol, messageOverheadBytes } from './limits.ts';

describe('what libp2p is told', () => {
  it('D5: no name is ever resolved', async () => {
    const options = sharedOptions({ allows: () => true, isRelay: () => false });
    expect(options.connectionManager?.resolvers).toEqual({});
    await expect(options.dns?.query('_dnsaddr.bootstrap.example')).rejects.toThrow('no names are resolved');
  });

  it('D5: the ICE servers are those that were given, none where none were, and fresh objects each time', () => {
    expect(webRtcOptions([]).rtcConfiguration()).toEqual({ iceServers: [] });
    const given = [{ urls: 'stun:203.0.113.5:3478' }];
    const { rtcConfiguration } = webRtcOptions(given);
    expect(rtcConfiguration().iceServers).toEqual(given);
    expect(rtcConfiguration().iceServers?.[0]).not.toBe(given[0]);
  });

  it('D1: every dial asks the policy', () => {
    const asked: string[] = [];
    const { connectionGater } = sharedOptions({
      allows: (address) => {
        asked.push(address.toString());
        return false;
      },
      isRelay: () => false,
    });
    expect(connectionGater?.denyDialMultiaddr?.(multiaddr('/ip4/8.8.4.4/tcp/1/ws'))).toBe(true);
    expect(asked).toEqual(['/ip4/8.8.4.4/tcp/1/ws']);
  });

  it('C3: identify is asked of configured relays, not over relayed connections and not of other peers', () => {
    const [relay, other] = [randomIdentity().peer, randomIdentity().peer];
    const { services } = sharedOptions({ allows: () => true, isRelay: (peer) => peer === relay });
    const events = new EventTarget();
    const log = Object.assign(() => undefined, { error: () => undefined });
    const identify = services?.['identify'] as (components: object) => unknown;
    identify({ events, logger: { forComponent: () => log }, nodeInfo: { userAgent: 'test' } });
    const asked: string[] = [];
    const open = (peer: string, remoteAddr: string): void => {
      const newStream = (): Promise<never> => {
        asked.push(remoteAddr);
        return Promise.reject(new Error('it left'));
      };
      const detail = { remotePeer: peer, remoteAddr, limits: undefined, newStream };
      events.dispatchEvent(new CustomEvent('connection:open', { detail }));
    };
    open(relay, '/ip4/127.0.0.1/tcp/1/ws');
    open(other, '/webrtc');
    open(other, '/ip4/127.0.0.1/tcp/1/ws/p2p-circuit');
    expect(asked).toEqual(['/ip4/127.0.0.1/tcp/1/ws']);
  });

  it('F4: data channels take the longest message of any protocol, with its framing', () => {
    const longest = Math.max(...Object.values(messageBytesMaxByProtocol)) + messageOverheadBytes;
    expect(webRtcOptions([]).dataChannel.maxMessageSize).toBe(dataChannelMessageBytesMax);
    expect(dataChannelMessageBytesMax).toBe(longest);
  });
});
