/** The network of a page: WebSocket to relays, WebRTC to pages and Node peers. */
import { circuitRelayTransport } from '@libp2p/circuit-relay-v2';
import { webRTC, webRTCDirect } from '@libp2p/webrtc';
import { webSockets } from '@libp2p/websockets';
import { repairInitChannels } from './init-channel-repair.ts';
import { webRtcOptions } from './libp2p-options.ts';
import { startNetwork, type Network, type NetworkOptions } from './network.ts';

export type { ConnectionView, TransportName } from './connections.ts';
export type { RelayAddress } from './dial-policy.ts';
export type { AnnouncedDirectory, Network, NetworkOptions } from './network.ts';
export type { RelayState } from './relay-lease.ts';

/**
 * Returns at once also while no relay answers; `relayState` says how it stands. Only on the page itself: workers have
 * no `RTCPeerConnection`.
 */
export async function createNetwork(options: NetworkOptions): Promise<Network> {
  repairInitChannels(RTCPeerConnection);
  const rtc = webRtcOptions(options.iceServers);
  const network = await startNetwork(options, {
    transports: [webSockets(), webRTC(rtc), webRTCDirect(rtc), circuitRelayTransport()],
    listen: ['/webrtc', ...options.relays.map(() => '/p2p-circuit')],
  });
  leaveWithThePage(network, options.signal);
  return network;
}

/**
 * A page that goes says so, where the browser lets it; its neighbours then need not wait for silence.
 * @param signal after which the page holds the network no longer
 */
function leaveWithThePage(network: Network, signal: AbortSignal | undefined): void {
  const leave = (event: PageTransitionEvent): void => {
    if (!event.persisted) void network.stop();
  };
  addEventListener('pagehide', leave, signal && { signal });
}
