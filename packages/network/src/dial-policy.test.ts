import { multiaddr } from '@multiformats/multiaddr';
import { randomIdentity } from '@unfed/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DialPolicy } from './dial-policy.ts';
import { dialAddressesMax } from './limits.ts';

const relay = randomIdentity().peer;
const otherRelay = randomIdentity().peer;
const peer = randomIdentity().peer;
const certhash = 'uEiDikp5KVUgkLta1EjUN-IKbHk-dUBg8VzKgf5nXxLK46w';
const relayAddress = '/ip4/203.0.113.5/tcp/443/ws';
const publicDirect = `/ip4/198.51.100.7/udp/4001/webrtc-direct/certhash/${certhash}`;
const reallyPublicDirect = `/ip4/8.8.4.4/udp/4001/webrtc-direct/certhash/${certhash}`;
const privateDirect = `/ip4/192.168.1.4/udp/4001/webrtc-direct/certhash/${certhash}`;
const foreign = [
  '/dns4/peer.example/tcp/443/wss',
  '/dnsaddr/bootstrap.example',
  `/dns4/peer.example/udp/4001/webrtc-direct/certhash/${certhash}`,
  '/ip4/8.8.4.4/tcp/4001',
  '/ip4/8.8.4.4/tcp/443/ws',
  '/ip4/8.8.4.4/udp/4001/quic-v1',
  `/dns4/relay.example/tcp/443/wss/p2p/${otherRelay}/p2p-circuit/webrtc`,
];
const policy = new DialPolicy([{ peer: relay, addresses: [relayAddress] }], false);
const open = new DialPolicy([{ peer: relay, addresses: [relayAddress] }], true);
const texts = (addresses: readonly { toString(): string }[]): string[] => addresses.map(String);

describe('what is dialled', () => {
  it('D1: nothing but our relays, circuits through them, and webrtc-direct by IP', () => {
    for (const address of foreign) expect(open.allows(multiaddr(address)), address).toBe(false);
    expect(policy.allows(multiaddr(relayAddress))).toBe(true);
    expect(policy.allows(multiaddr(`${relayAddress}/p2p/${relay}`))).toBe(true);
    expect(policy.allows(multiaddr(`${relayAddress}/p2p/${relay}/p2p-circuit/p2p/${peer}`))).toBe(true);
    expect(policy.allows(multiaddr(reallyPublicDirect))).toBe(true);
  });

  it('D2: private and reserved networks only where that was asked for', () => {
    for (const address of [privateDirect, publicDirect.replace('198.51.100.7', '127.0.0.1')]) {
      expect(policy.allows(multiaddr(address)), address).toBe(false);
      expect(policy.mayAnnounce(multiaddr(address)), address).toBe(false);
      expect(open.allows(multiaddr(address)), address).toBe(true);
    }
  });

  it('D3: takes from a circuit only the id of a relay of ours, and asks our relays where nothing was announced', () => {
    const evil = `/ip4/8.8.4.4/tcp/1/ws/p2p/${relay}/p2p-circuit/webrtc/p2p/${peer}`;
    const introduced = [`${relayAddress}/p2p/${relay}/p2p-circuit/webrtc/p2p/${peer}`];
    expect(texts(policy.candidates(peer, [evil]).introduced)).toEqual(introduced);
    expect(texts(policy.candidates(peer, []).introduced)).toEqual(introduced);
    expect(policy.candidates(peer, foreign)).toEqual({ direct: [], introduced: [], relayed: [] });
    expect(texts(policy.candidates(relay, foreign).direct)).toEqual([`${relayAddress}/p2p/${relay}`]);
  });

  it('D4: whatever a stranger announces, what comes of it may be dialled, and is bounded', () => {
    const anything = fc.oneof(fc.string(), fc.constantFrom(...foreign, reallyPublicDirect, privateDirect));
    fc.assert(
      fc.property(fc.array(anything, { maxLength: 40 }), (addresses) => {
        const { direct, introduced, relayed } = policy.candidates(peer, addresses);
        expect(direct.length).toBeLessThanOrEqual(dialAddressesMax);
        for (const address of [...direct, ...introduced, ...relayed]) expect(policy.allows(address)).toBe(true);
      }),
    );
  });
});
