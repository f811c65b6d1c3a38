/** A relay: peers meet here. It introduces them to each other and keeps the directory; their talk does not pass through it. */
import './polyfills.node.ts';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { circuitRelayServer } from '@libp2p/circuit-relay-v2';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { webSockets } from '@libp2p/websockets';
import { peerIdFromString } from '@libp2p/peer-id';
import type { Announcement, Identity, Links, PeerId } from '@unfed/protocol';
import type { Multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { limitConnectionsPerPeer } from './connections.ts';
import { DialPolicy } from './dial-policy.ts';
import { Dialer } from './dialer.ts';
import { DirectoryServer } from './directory-server.ts';
import { Heartbeat } from './heartbeat.ts';
import { sharedOptions, type TransportFactory } from './libp2p-options.ts';
import * as limits from './limits.ts';
import type { ListedTimes } from './listed-times.ts';
import { networkGroups } from './network-group.node.ts';
import { PeerLinks } from './peer-links.ts';

export interface RelayOptions {
  readonly identity: Identity;
  /** IPv4 address to listen on. Default 127.0.0.1. */
  readonly host?: string;
  /** TCP port of the WebSocket; 0, the default, takes any that is free. */
  readonly port?: number;
  /** Multiaddrs to give out instead of the listening one, where another server passes connections on to `upgrade`. */
  readonly announce?: readonly string[];
  /** Where a proxy passes connections on: the address that one came from. Default: the socket's. */
  readonly clientAddress?: (request: IncomingMessage) => string | undefined;
  /** For how long peers were listed before this relay started; it counts on in here. */
  readonly listedTimes?: ListedTimes;
  readonly reservationsMax?: number;
  readonly connectionsMax?: number;
}

export interface RelayNode {
  readonly peer: PeerId;
  /** Multiaddrs of its WebSocket, without `/p2p/…`. */
  readonly addresses: readonly string[];
  /** Peers connected now. */
  readonly connectionCount: number;
  /** The relay's own links, so that a service beside the directory may run at it. It dials nobody. */
  readonly links: Links;
  /** What its directory holds now. */
  snapshot(): readonly Announcement[];
  /** Calls back after the directory changed. @returns a function that stops it */
  onChange(listener: () => void): () => void;
  /** Takes a WebSocket that came to another HTTP server: `server.on('upgrade', relay.upgrade)`. */
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  stop(): Promise<void>;
}

export async function createRelay(options: RelayOptions): Promise<RelayNode> {
  const { identity, host = '127.0.0.1', port = 0, announce = [] } = options;
  // A relay dials nobody.
  const policy = new DialPolicy([], false);
  const addresses = new ClientAddresses(options.clientAddress);
  const { transport, upgrade } = sharedWebSockets((request, socket) => addresses.take(request, socket));
  const shared = sharedOptions({ allows: () => false, isRelay: () => false });
  const libp2p = await createLibp2p({
    ...shared,
    privateKey: await generateKeyPairFromSeed('Ed25519', identity.seed),
    addresses: { listen: [`/ip4/${host}/tcp/${port}/ws`], announce: [...announce] },
    transports: [transport],
    connectionManager: {
      ...shared.connectionManager,
      maxConnections: options.connectionsMax ?? limits.relayConnectionsMax,
    },
    services: {
      ...shared.services,
      relay: circuitRelayServer({
        maxInboundHopStreams: limits.relayHopStreamsMax,
        maxOutboundStopStreams: limits.relayHopStreamsMax,
        reservations: {
          maxReservations: options.reservationsMax ?? limits.relayReservationsMax,
          reservationTtl: limits.relayReservationMs,
          defaultDataLimit: BigInt(limits.relayedBytesMax),
          defaultDurationLimit: limits.relayedMsMax,
        },
      }),
    },
    start: false,
  });
  const self = identity.peer;
  const heartbeat = new Heartbeat(libp2p, () => undefined);
  const links = new PeerLinks({
    libp2p,
    self,
    dialer: new Dialer(libp2p, policy, false),
    allowRelayed: false,
    onHeard: (connection) => heartbeat.heard(connection),
  });
  const groups = networkGroups(identity);
  const directory = new DirectoryServer({
    links,
    // A peer that is connected from several networks is in that of its oldest connection.
    groupOf: (peer) => groups(addresses.of(libp2p.getConnections(peerIdFromString(peer))[0]?.remoteAddr)),
    ...(options.listedTimes === undefined ? {} : { listedTimes: options.listedTimes }),
  });
  limitConnectionsPerPeer(libp2p);
  await libp2p.start();
  await heartbeat.start();
  return {
    peer: self,
    get addresses() {
      return libp2p.getMultiaddrs().map((address) => address.decapsulate('/p2p').toString());
    },
    get connectionCount() {
      return libp2p.getConnections().length;
    },
    links,
    snapshot: () => directory.snapshot(),
    onChange: (listener) => directory.onChange(listener),
    upgrade,
    stop: async () => {
      heartbeat.stop();
      directory.stop();
      await links.stop();
      await libp2p.stop();
    },
  };
}

type Upgrade = RelayNode['upgrade'];

interface SharedWebSockets {
  readonly transport: TransportFactory;
  readonly upgrade: Upgrade;
}

/** Where connections come from. Behind a proxy libp2p knows the proxy's address alone; the request says more. */
class ClientAddresses {
  readonly #clientAddress: RelayOptions['clientAddress'];
  /** By the socket's own address and port, which libp2p gives as the connection's. */
  readonly #forwarded = new Map<string, string>();

  constructor(clientAddress: RelayOptions['clientAddress']) {
    this.#clientAddress = clientAddress;
  }

  take(request: IncomingMessage, socket: Duplex): void {
    const address = this.#clientAddress?.(request);
    if (address === undefined) return;
    // As libp2p writes it: an IPv4 address in IPv6 clothes without them.
    const key = `${request.socket.remoteAddress?.replace(/^::ffff:/i, '')} ${request.socket.remotePort}`;
    this.#forwarded.set(key, address);
    socket.once('close', () => this.#forwarded.delete(key));
  }

  of(remote: Multiaddr | undefined): string | undefined {
    const parts = remote?.getComponents() ?? [];
    const value = (...names: string[]): string | undefined => parts.find(({ name }) => names.includes(name))?.value;
    const address = value('ip4', 'ip6');
    return this.#forwarded.get(`${address} ${value('tcp')}`) ?? address;
  }
}

/**
 * The WebSocket transport, with the door by which its listener takes sockets of another server.
 * @param onSocket sees each of these first
 */
function sharedWebSockets(onSocket: (request: IncomingMessage, socket: Duplex) => void): SharedWebSockets {
  let listener: object | undefined;
  const create = webSockets();
  const transport: TransportFactory = (components) => {
    const webSocket = create(components);
    const createListener = webSocket.createListener.bind(webSocket);
    webSocket.createListener = (init) => {
      const created = createListener(init);
      listener = created;
      return created;
    };
    return webSocket;
  };
  const upgrade: Upgrade = (request, socket, head) => {
    if (!takesSockets(listener)) {
      socket.destroy();
      return;
    }
    onSocket(request, socket);
    listener.onUpgrade(request, socket, head);
  };
  return { transport, upgrade };
}

/** libp2p's listener has this method, though its interface does not say so. */
function takesSockets(listener: object | undefined): listener is { onUpgrade: Upgrade } {
  return listener !== undefined && 'onUpgrade' in listener && typeof listener.onUpgrade === 'function';
}
