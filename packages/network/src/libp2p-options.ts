/** What pages, Node peers and relays all tell libp2p. Nothing is left to defaults that would ask other companies' hosts. */
import { noise } from '@libp2p/noise';
import { yamux } from '@libp2p/yamux';
import { FaultTolerance } from '@libp2p/interface';
import { identify } from '@libp2p/identify';
import type { Multiaddr } from '@multiformats/multiaddr';
import type { Libp2pOptions } from 'libp2p';
import { isRelayed } from './connections.ts';
import * as limits from './limits.ts';

export type TransportFactory = NonNullable<Libp2pOptions['transports']>[number];

type IdentifyService = ReturnType<typeof identify>;

/** What this peer knows of others before it meets them. */
export interface KnownPeers {
  /** Whether the address may be dialled. */
  allows(address: Multiaddr): boolean;
  isRelay(peer: string): boolean;
}

export function sharedOptions(known: KnownPeers): Libp2pOptions {
  return {
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionGater: { denyDialMultiaddr: (address: Multiaddr) => !known.allows(address) },
    connectionManager: {
      maxConnections: limits.connectionsMax,
      maxIncomingPendingConnections: limits.connectionsPendingMax,
      inboundConnectionThreshold: limits.connectionsPerHostPerSecondMax,
      dialTimeout: limits.relayDialTimeoutMs,
      addressDialTimeout: limits.dialThroughRelayTimeoutMs,
      // Names are never resolved: the default resolver of a page asks two companies over HTTPS.
      resolvers: {},
      reconnectRetries: 0,
    },
    // Heartbeat does this, and survives a busy process.
    connectionMonitor: { enabled: false },
    transportManager: { faultTolerance: FaultTolerance.NO_FATAL },
    dns: { query: refuseToResolve },
    services: { identify: identifyRelays(known) },
  };
}

/** What WebRTC transports are given; a function, because node-datachannel's polyfill writes into the object. */
export function webRtcOptions(iceServers: readonly RTCIceServer[]) {
  return {
    rtcConfiguration: (): RTCConfiguration => ({ iceServers: iceServers.map((server) => ({ ...server })) }),
    dataChannel: {
      maxMessageSize: limits.dataChannelMessageBytesMax,
      maxBufferedAmount: limits.dataChannelBufferedBytesMax,
    },
  };
}

/**
 * libp2p learns from a relay's answer that it can reserve there. Nothing is asked of others, of whom announcements say what
 * there is to know: by default it would be asked four times for every two peers that are introduced.
 */
function identifyRelays(known: KnownPeers): IdentifyService {
  return (components) => {
    const service = identify({ runOnConnectionOpen: false })(components);
    components.events.addEventListener('connection:open', ({ detail }) => {
      if (isRelayed(detail) || !known.isRelay(detail.remotePeer.toString())) return;
      // Without an answer there is no reservation; the next connection asks again.
      service.identify(detail).catch(() => undefined);
    });
    return service;
  };
}

function refuseToResolve(name: string): Promise<never> {
  return Promise.reject(new Error(`no names are resolved here; expected an address by IP, came ${name}`));
}
