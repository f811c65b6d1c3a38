import { multiaddr } from '@multiformats/multiaddr';
import { describe, expect, it } from 'vitest';
import { sharedOptions, webRtcOptions } from './libp2p-options.ts';
import { dataChannelMessageBytesMax, messageBytesMaxByProtocol, messageOverheadBytes } from './limits.ts';

describe('what libp2p is told', () => {
  it('D5: no name is ever resolved', async () => {
    const options = sharedOptions({ allows: () => true });
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
    });
    expect(connectionGater?.denyDialMultiaddr?.(multiaddr('/ip4/8.8.4.4/tcp/1/ws'))).toBe(true);
    expect(asked).toEqual(['/ip4/8.8.4.4/tcp/1/ws']);
  });

  it('F4: data channels take the longest message of any protocol, with its framing', () => {
    const longest = Math.max(...Object.values(messageBytesMaxByProtocol)) + messageOverheadBytes;
    expect(webRtcOptions([]).dataChannel.maxMessageSize).toBe(dataChannelMessageBytesMax);
    expect(dataChannelMessageBytesMax).toBe(longest);
  });
});
