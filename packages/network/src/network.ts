/** One peer's network, put together over libp2p: relays, links, directory, heartbeat. What differs between pages and Node is given. */
import type { Connection } from '@libp2p/interface';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { peerId, type Identity, type Links, type ListingDirectory, type PeerId } from '@unfed/protocol';
import { createLibp2p, type Libp2p } from 'libp2p';
import {
  isRelayed,
  limitConnectionsPerPeer,
  spareConnections,
  transportName,
  type ConnectionView,
} from './connections.ts';
import { DialPolicy, type RelayAddress } from './dial-policy.ts';
import { Dialer } from './dialer.ts';
import { DirectoryFollower } from './directory-follower.ts';
import { aliveProtocol, Heartbeat } from './heartbeat.ts';
import { sharedOptions, type TransportFactory } from './libp2p-options.ts';
import * as limits from './limits.ts';
import { Listeners } from './listeners.ts';
import { PeerLinks, remotePeer } from './peer-links.ts';
import { RelayLease, type RelayState } from './relay-lease.ts';

export interface NetworkOptions {
  readonly identity: Identity;
  readonly relays: readonly RelayAddress[];
  /** STUN and TURN servers; none but these are ever asked. */
  readonly iceServers: readonly RTCIceServer[];
  /** False: a client that dials only and reserves nothing at a relay. */
  readonly listen?: boolean;
  /** Dials loopback and private networks too, as development and one's own rooms need. */
  readonly allowPrivateAddresses?: boolean;
  /** Lets links run through a relay where nothing else works. Weights must not travel so. */
  readonly allowRelayed?: boolean;
  /** Ends the network. */
  readonly signal?: AbortSignal;
}

export interface AnnouncedDirectory extends ListingDirectory {
  /** Whether a relay has sent all it holds since this peer started: before that, an absent peer means nothing. */
  readonly whole: boolean;
  /** Keeps these signed bytes announced at every relay, also after reconnecting; null withdraws. */
  announce(envelope: Uint8Array | null): void;
}

export interface Network extends Links {
  /** Multiaddrs to announce: through our relays by WebRTC, in Node also webrtc-direct. They change with the relays. */
  readonly addresses: readonly string[];
  /** Connected when one relay is. */
  readonly relayState: RelayState;
  readonly connections: readonly ConnectionView[];
  readonly directory: AnnouncedDirectory;
  /** Calls back after addresses, relay state or connections changed. @returns a function that stops it */
  onChange(listener: () => void): () => void;
  /** Calls back when the last direct connection to a peer is gone, or a relay says that a peer without one has left. */
  onPeerLeft(listener: (peer: PeerId) => void): () => void;
  stop(): Promise<void>;
}

export interface Preset {
  readonly transports: TransportFactory[];
  readonly listen: readonly string[];
}

/** Returns at once also while no relay answers: it keeps trying, and `relayState` says how it stands. */
export async function startNetwork(options: NetworkOptions, preset: Preset): Promise<Network> {
  options.signal?.throwIfAborted();
  const policy = new DialPolicy(options.relays, options.allowPrivateAddresses ?? false);
  const libp2p = await createLibp2p({
    ...sharedOptions(policy),
    privateKey: await generateKeyPairFromSeed('Ed25519', options.identity.seed),
    addresses: { listen: options.listen === false ? [] : [...preset.listen] },
    transports: preset.transports,
    start: false,
  });
  const network = new Libp2pNetwork(libp2p, policy, options);
  await network.start();
  options.signal?.addEventListener('abort', () => void network.stop(), { once: true });
  return network;
}

class Libp2pNetwork implements Network {
  readonly self: PeerId;
  readonly directory: DirectoryFollower;
  readonly #libp2p: Libp2p;
  readonly #policy: DialPolicy;
  readonly #relays: readonly RelayAddress[];
  readonly #dialer: Dialer;
  readonly #links: PeerLinks;
  readonly #heartbeat: Heartbeat;
  readonly #changes = new Listeners();
  readonly #departures = new Listeners<[PeerId]>();
  /** Ticks for which a connection has been spare. */
  readonly #spareTicks = new Map<string, number>();
  #leases: readonly RelayLease[] = [];
  #stopped: Promise<void> | undefined;

  constructor(libp2p: Libp2p, policy: DialPolicy, { identity, relays, allowRelayed = false }: NetworkOptions) {
    this.self = identity.peer;
    this.#libp2p = libp2p;
    this.#policy = policy;
    this.#relays = relays;
    this.#dialer = new Dialer(libp2p, policy, allowRelayed);
    this.#heartbeat = new Heartbeat(libp2p, () => this.#tidy());
    this.#links = new PeerLinks({
      libp2p,
      self: this.self,
      dialer: this.#dialer,
      allowRelayed,
      onHeard: (connection) => this.#heartbeat.heard(connection),
    });
    this.directory = new DirectoryFollower({ links: this.#links, onRemoved: (peer) => this.#doubt(peer) });
  }

  get addresses(): readonly string[] {
    return this.#libp2p
      .getMultiaddrs()
      .filter((address) => this.#policy.mayAnnounce(address))
      .map((address) => address.toString());
  }

  get relayState(): RelayState {
    const states = this.#leases.map(({ state }) => state);
    return states.find(({ kind }) => kind === 'connected') ?? states[0] ?? { kind: 'connecting' };
  }

  get connections(): readonly ConnectionView[] {
    return this.#libp2p.getConnections().flatMap((connection) => {
      const peer = remotePeer(connection);
      if (peer === undefined || connection.status !== 'open') return [];
      const transport = transportName(connection.remoteAddr.toString());
      return [{ peer, transport, isRelay: this.#policy.isRelay(peer) }];
    });
  }

  open(...args: Parameters<Links['open']>): ReturnType<Links['open']> {
    return this.#links.open(...args);
  }

  accept(...args: Parameters<Links['accept']>): ReturnType<Links['accept']> {
    return this.#links.accept(...args);
  }

  onChange(listener: () => void): () => void {
    return this.#changes.add(listener);
  }

  onPeerLeft(listener: (peer: PeerId) => void): () => void {
    return this.#departures.add(listener);
  }

  async start(): Promise<void> {
    limitConnectionsPerPeer(this.#libp2p);
    this.#libp2p.addEventListener('connection:open', () => this.#changes.call());
    this.#libp2p.addEventListener('connection:close', ({ detail }) => {
      this.#changes.call();
      this.#closed(detail);
    });
    this.#libp2p.addEventListener('self:peer:update', () => this.#changes.call());
    await this.#libp2p.start();
    await this.#heartbeat.start();
    this.#leases = this.#relays.map(
      ({ peer }) =>
        new RelayLease({
          libp2p: this.#libp2p,
          addresses: this.#policy.relayAddresses(peer),
          onChange: () => this.#changes.call(),
          onConnected: (signal) => void this.directory.follow(peerId(peer), signal),
        }),
    );
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    for (const lease of this.#leases) lease.stop();
    this.#heartbeat.stop();
    this.directory.stop();
    await this.#links.stop();
    await this.#libp2p.stop();
  }

  #closed(connection: Connection): void {
    const peer = remotePeer(connection);
    if (peer === undefined || isRelayed(connection)) return;
    if (this.#dialer.existing(peer) === undefined) this.#departures.call(peer);
  }

  /** A relay removed this peer from its directory: it withdrew, or it is gone. */
  #doubt(peer: PeerId): void {
    if (this.#dialer.existing(peer) === undefined) this.#departures.call(peer);
    else this.#heartbeat.suspect(peer);
  }

  #tidy(): void {
    const connections = this.#libp2p.getConnections().filter(({ status }) => status === 'open');
    const facts = connections.flatMap((connection) => {
      const peer = remotePeer(connection);
      if (peer === undefined || this.#policy.isRelay(peer)) return [];
      const links = connection.streams.filter(({ protocol }) => isLinkProtocol(protocol)).length;
      const openedBy = connection.direction === 'outbound' ? this.self : peer;
      return [{ id: connection.id, peer, relayed: isRelayed(connection), openedBy, links }];
    });
    const spare = new Set(spareConnections(facts));
    for (const id of this.#spareTicks.keys()) if (!spare.has(id)) this.#spareTicks.delete(id);
    for (const connection of connections) {
      if (!spare.has(connection.id)) continue;
      const ticks = (this.#spareTicks.get(connection.id) ?? 0) + 1;
      this.#spareTicks.set(connection.id, ticks);
      if (ticks > limits.connectionSpareTicks) connection.close().catch((error: Error) => connection.abort(error));
    }
  }
}

/** A stream still without a protocol is being opened: it may become a link. */
function isLinkProtocol(protocol: string): boolean {
  return protocol === '' || (protocol.startsWith('/unfed/') && protocol !== aliveProtocol);
}
