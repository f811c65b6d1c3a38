/** The network of a Node peer, and relays. A Node peer listens on webrtc-direct, which pages reach without a certificate. */
import './polyfills.node.ts';
import { circuitRelayTransport } from '@libp2p/circuit-relay-v2';
import { webRTC, webRTCDirect } from '@libp2p/webrtc';
import { webSockets } from '@libp2p/websockets';
import { RTCPeerConnection } from 'node-datachannel/polyfill';
import { repairInitChannels } from './init-channel-repair.ts';
import { webRtcOptions } from './libp2p-options.ts';
import { startNetwork, type Network, type NetworkOptions } from './network.ts';

export type { ConnectionView, TransportName } from './connections.ts';
export type { RelayAddress } from './dial-policy.ts';
export { DirectoryServer } from './directory-server.ts';
export { identityFrom } from './identity-file.node.ts';
export { ListedTimes } from './listed-times.ts';
export type { AnnouncedDirectory, Network, NetworkOptions } from './network.ts';
export type { RelayState } from './relay-lease.ts';
export { createRelay, type RelayNode, type RelayOptions } from './relay.node.ts';

export interface NodeNetworkOptions extends NetworkOptions {
  /** webrtc-direct addresses to listen on; any port of every interface by default. */
  readonly listenAddresses?: readonly string[];
}

/** Returns at once also while no relay answers; `relayState` says how it stands. */
export async function createNetwork(options: NodeNetworkOptions): Promise<Network> {
  repairInitChannels(RTCPeerConnection);
  const rtc = webRtcOptions(options.iceServers);
  const direct = options.listenAddresses ?? ['/ip4/0.0.0.0/udp/0/webrtc-direct'];
  return startNetwork(options, {
    transports: [webSockets(), webRTC(rtc), webRTCDirect(rtc), circuitRelayTransport()],
    listen: [...direct, '/webrtc', ...options.relays.map(() => '/p2p-circuit')],
  });
}
