import { createServer } from 'node:http';
import {
  randomIdentity,
  signAnnouncement,
  type Identity,
  type Link,
  type LinkError,
  type PeerId,
} from '@unfed/protocol';
import { afterEach, describe, expect, it } from 'vitest';
import { circuitRelayTransport } from '@libp2p/circuit-relay-v2';
import { webSockets } from '@libp2p/websockets';
import { createNetwork, createRelay, type Network, type RelayNode, type RelayOptions } from './index.node.ts';
import { startNetwork, type NetworkOptions } from './network.ts';

const protocol = '/unfed/test/1';
const stops: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function relayNode(options: Partial<RelayOptions> = {}): Promise<RelayNode> {
  const relay = await createRelay({ identity: randomIdentity(), ...options });
  stops.push(() => relay.stop());
  return relay;
}

const through = (relay: RelayNode, identity: Identity = randomIdentity()): NetworkOptions => ({
  identity,
  relays: [{ peer: relay.peer, addresses: relay.addresses }],
  iceServers: [],
  allowPrivateAddresses: true,
});

async function nodePeer(relay: RelayNode, options: Partial<NetworkOptions> = {}): Promise<Network> {
  return kept(await createNetwork({ ...through(relay), ...options }));
}

/** A peer that has no WebRTC at all. */
async function relayedPeer(relay: RelayNode, options: Partial<NetworkOptions> = {}): Promise<Network> {
  const preset = { transports: [webSockets(), circuitRelayTransport()], listen: ['/p2p-circuit'] };
  return kept(await startNetwork({ ...through(relay), ...options }, preset));
}

function kept(network: Network): Network {
  stops.push(() => network.stop());
  return network;
}

interface Source {
  onChange(listener: () => void): () => void;
}

async function until(source: Source, holds: () => boolean): Promise<void> {
  await new Promise<void>((resolve) => {
    const check = (): void => {
      if (holds()) resolve();
    };
    source.onChange(check);
    check();
  });
}

const isIntroduced = (address: string): boolean => address.includes('/p2p-circuit/webrtc');
const untilReachable = (network: Network): Promise<void> => until(network, () => network.addresses.some(isIntroduced));
const portOf = (relay: RelayNode): number => Number(relay.addresses[0]?.split('/')[4]);

function announcement(identity: Identity): Uint8Array {
  const nowMs = Date.now();
  const times = { issuedAtMs: nowMs, expiresAtMs: nowMs + 60_000 };
  const rest = { stage: null, hopKeys: [], operator: null, addresses: [], seeds: [] };
  return signAnnouncement({ peer: identity.peer, ...times, ...rest }, identity);
}

const peersOf = (network: Network): PeerId[] => network.directory.announcements().map(({ peer }) => peer);
const failureOf = (promise: Promise<unknown>): Promise<LinkError> =>
  promise.then(
    () => Promise.reject(new Error('nothing was thrown')),
    (error: LinkError) => error,
  );

describe('a network of Node peers', () => {
  it('R1 R2: starts while the relay is unreachable, says so, and connects when it comes', async () => {
    const identity = randomIdentity();
    const gone = await createRelay({ identity });
    const port = portOf(gone);
    const addresses = gone.addresses;
    await gone.stop();
    const options = { ...through(gone), relays: [{ peer: identity.peer, addresses }] };
    const network = kept(await createNetwork(options));
    await until(network, () => network.relayState.kind === 'retrying');
    await relayNode({ identity, port });
    await until(network, () => network.relayState.kind === 'connected');
    await untilReachable(network);
  });

  it('R3 A7: reservation, directory and announcement come back after the relay was restarted', async () => {
    const identity = randomIdentity();
    const first = await relayNode({ identity });
    const port = portOf(first);
    const announcer = randomIdentity();
    const a = await nodePeer(first, { identity: announcer });
    const b = await nodePeer(first);
    a.directory.announce(announcement(announcer));
    await until(b.directory, () => peersOf(b).includes(announcer.peer));
    await first.stop();
    await until(b, () => b.relayState.kind === 'retrying');
    expect(peersOf(b)).toEqual([announcer.peer]);
    const second = await relayNode({ identity, port });
    await untilReachable(a);
    await until(second, () => second.snapshot().length === 1);
    expect(second.snapshot()[0]?.peer).toBe(announcer.peer);
  });

  it('A3: a peer that stops leaves the directory, and its neighbours hear of it', async () => {
    const relay = await relayNode();
    const leaver = randomIdentity();
    const [a, b] = [await nodePeer(relay, { identity: leaver }), await nodePeer(relay)];
    a.directory.announce(announcement(leaver));
    await until(b.directory, () => peersOf(b).includes(leaver.peer));
    const left = new Promise<PeerId>((resolve) => b.onPeerLeft(resolve));
    await a.stop();
    expect(await left).toBe(leaver.peer);
    await until(b.directory, () => peersOf(b).length === 0);
    expect(relay.snapshot()).toEqual([]);
  });

  it('L3: dialling each other at once ends with one link, whichever way', async () => {
    const relay = await relayNode();
    for (const way of ['direct', 'introduced'] as const) {
      const [a, b] = [await nodePeer(relay), await nodePeer(relay)];
      await Promise.all([untilReachable(a), untilReachable(b)]);
      const open = { a: new Set<Link>(), b: new Set<Link>() };
      const use = (links: Set<Link>, link: Link): void => {
        links.add(link);
        void link.closed.then(() => links.delete(link));
      };
      a.accept(protocol, (link) => use(open.a, link));
      b.accept(protocol, (link) => use(open.b, link));
      const addresses = (of: Network): string[] =>
        of.addresses.filter((address) => isIntroduced(address) === (way === 'introduced'));
      await Promise.all([
        a.open(b.self, protocol, { addresses: addresses(b) }).then((link) => use(open.a, link)),
        b.open(a.self, protocol, { addresses: addresses(a) }).then((link) => use(open.b, link)),
      ]);
      for (const links of [open.a, open.b]) {
        while (links.size > 1) await Promise.race([...links].map((link) => link.closed));
      }
      const [ofA] = open.a;
      const [ofB] = open.b;
      const came = new Promise<Uint8Array>((resolve) => ofB?.onFrame(resolve));
      await ofA?.send(Uint8Array.of(9));
      expect(await came).toEqual(Uint8Array.of(9));
    }
  });

  it('fresh dials through the relay never hang on the closing init channel', async () => {
    const relay = await relayNode();
    const b = await nodePeer(relay);
    await untilReachable(b);
    b.accept(protocol, () => undefined);
    for (let i = 0; i < 12; i++) {
      const a = await createNetwork({ ...through(relay), listen: false });
      const link = await a.open(b.self, protocol, { addresses: b.addresses.filter(isIntroduced) });
      expect(link.relayed).toBe(false);
      await a.stop();
    }
  });

  it('L6: no link runs through the relay unless both ends allow it', async () => {
    const relay = await relayNode();
    const strict = await relayedPeer(relay);
    const lenient = await relayedPeer(relay, { allowRelayed: true });
    for (const network of [strict, lenient])
      network.accept(protocol, (link) => link.onFrame((frame) => link.send(frame)));
    const connected = (network: Network): Promise<void> =>
      until(network, () => network.connections.some(({ isRelay }) => isRelay));
    await Promise.all([strict, lenient].map(connected));
    const refused = await failureOf(strict.open(lenient.self, protocol));
    expect(refused.code).toBe('link-unreachable');
    expect(refused.message).toContain('links through a relay are not allowed here');
    expect((await failureOf(lenient.open(strict.self, protocol))).code).toBe('link-unreachable');

    const asker = await relayedPeer(relay, { allowRelayed: true });
    await connected(asker);
    const link = await asker.open(lenient.self, protocol);
    expect(link.relayed).toBe(true);
    const echoed = new Promise<Uint8Array>((resolve) => link.onFrame(resolve));
    await link.send(Uint8Array.of(1, 2));
    expect(await echoed).toEqual(Uint8Array.of(1, 2));
    expect(asker.connections).toContainEqual({ peer: lenient.self, transport: 'relayed', isRelay: false });
  });

  it('R4: meets at a relay whose WebSocket shares the port of another server', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    stops.push(() => new Promise((resolve) => server.close(() => resolve())));
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const announced = `/ip4/127.0.0.1/tcp/${port}/ws`;
    const relay = await relayNode({ announce: [announced] });
    server.on('upgrade', relay.upgrade);
    expect(relay.addresses).toEqual([announced]);
    const [a, b] = [await nodePeer(relay), await nodePeer(relay)];
    await Promise.all([untilReachable(a), untilReachable(b)]);
    b.accept(protocol, () => undefined);
    expect((await a.open(b.self, protocol)).relayed).toBe(false);
  });

  it('A10: the relay names the network that a connection comes from, also behind a proxy', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    stops.push(() => new Promise((resolve) => server.close(() => resolve())));
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    // What a proxy would say: the first two come from one network, the third from another.
    const clients = ['192.0.2.1', '192.0.200.7', '198.51.100.1'];
    const relay = await relayNode({
      announce: [`/ip4/127.0.0.1/tcp/${port}/ws`],
      clientAddress: () => clients.shift(),
    });
    server.on('upgrade', relay.upgrade);
    const identities = [randomIdentity(), randomIdentity(), randomIdentity()];
    const peers: Network[] = [];
    for (const identity of identities) {
      const peer = await nodePeer(relay, { identity });
      await until(peer, () => peer.relayState.kind === 'connected');
      peer.directory.announce(announcement(identity));
      peers.push(peer);
    }
    const [watcher] = peers as [Network];
    await until(watcher.directory, () => peersOf(watcher).length === 3);
    const groups = identities.map(({ peer }) => watcher.directory.listing(peer).networkGroups[0]);
    expect(groups[1]).toBe(groups[0]);
    expect(groups[2]).not.toBe(groups[0]);

    const plain = await relayNode();
    const local = await nodePeer(plain, { identity: identities[0] });
    local.directory.announce(announcement(identities[0]));
    await until(local.directory, () => peersOf(local).length === 1);
    expect(local.directory.listing(local.self).networkGroups).toHaveLength(1);
    expect(groups).not.toContain(local.directory.listing(local.self).networkGroups[0]);
  });

  it('says unreachable at once where a peer announced nothing that may be dialled', async () => {
    const relay = await relayNode();
    const a = await nodePeer(relay, { allowPrivateAddresses: false });
    const addresses = ['/ip4/127.0.0.1/udp/9/webrtc-direct/certhash/uEiDikp5KVUgkLta1EjUN-IKbHk-dUBg8VzKgf5nXxLK46w'];
    const refused = await failureOf(a.open(randomIdentity().peer, protocol, { addresses }));
    expect(refused.code).toBe('link-unreachable');
    expect(refused.message).toContain('none of its 1 addresses');
    expect(a.addresses.filter((address) => !isIntroduced(address))).toEqual([]);
  });
});
