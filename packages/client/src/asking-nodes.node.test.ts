import { circuitProtocol } from '@unfed/circuit';
import { createNetwork, createRelay, type Network, type RelayNode } from '@unfed/network/node';
import {
  errorText,
  randomIdentity,
  signAnnouncement,
  UnfedError,
  type Identity,
  type Link,
  type PeerId,
} from '@unfed/protocol';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createAskingNodes, type AskingNode, type AskingNodes, type GuardAddress } from './asking-nodes.ts';

let relay: RelayNode;
let volunteer: Network;
let guards: [Network, Network];
let asking: AskingNodes;
/** Who opened a circuit link to whom. */
let opened: { guard: PeerId; by: PeerId }[] = [];
/** The networks that were made for asking. */
let made: Network[];
/** What the test took. */
let taken: AskingNode[];

beforeAll(async () => {
  relay = await createRelay({ identity: randomIdentity() });
  volunteer = await peer(randomIdentity());
  guards = [await peer(randomIdentity()), await peer(randomIdentity())];
  for (const guard of guards) {
    guard.accept(circuitProtocol, (link) => {
      opened.push({ guard: guard.self, by: link.peer });
      link.onFrame((frame) => link.send(frame));
    });
  }
  await until(volunteer.directory, () => volunteer.directory.announcements().length === 3);
});

afterAll(async () => {
  for (const network of [volunteer, ...guards]) await network.stop();
  await relay.stop();
});

beforeEach(() => {
  opened = [];
  made = [];
  taken = [];
  asking = createAskingNodes({
    createNetwork: async (options) => {
      const network = await createNetwork(options);
      made.push(network);
      return network;
    },
    relays: [{ peer: relay.peer, addresses: relay.addresses }],
    iceServers: [],
    allowPrivateAddresses: true,
    signal: new AbortController().signal,
  });
});

afterEach(async () => {
  for (const node of taken) await node.stop();
  await asking.stop();
});

async function peer(identity: Identity): Promise<Network> {
  const relays = [{ peer: relay.peer, addresses: relay.addresses }];
  const network = await createNetwork({ identity, relays, iceServers: [], allowPrivateAddresses: true });
  await until(network, () => network.addresses.some((address) => address.includes('/p2p-circuit/webrtc')));
  const issuedAtMs = Date.now();
  const times = { issuedAtMs, expiresAtMs: issuedAtMs + 60_000 };
  const rest = { stage: null, hopKeys: [], operator: null, addresses: [...network.addresses], seeds: [] };
  network.directory.announce(signAnnouncement({ peer: identity.peer, ...times, ...rest }, identity));
  return network;
}

interface Source {
  onChange(listener: () => void): () => void;
}

async function until(source: Source, holds: () => boolean): Promise<void> {
  await new Promise<void>((resolve) => {
    const unlisten = source.onChange(() => check());
    const check = (): void => {
      if (!holds()) return;
      unlisten();
      resolve();
    };
    check();
  });
}

const addressOf = (guard: Network): GuardAddress => ({ peer: guard.self, addresses: guard.addresses });
/** As pages reach each other. */
const introducedTo = (guard: Network): GuardAddress => ({
  peer: guard.self,
  addresses: guard.addresses.filter((address) => address.includes('/p2p-circuit/webrtc')),
});

function kept(node: AskingNode): AskingNode {
  taken.push(node);
  return node;
}

/** The error's code, or what it says. */
const failureOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'nothing was thrown',
    (error: unknown) => (error instanceof UnfedError ? error.code : errorText(error)),
  );

describe('the node of a conversation', () => {
  it('is connected to the relay and its guard and to nobody else, and announces nothing', async () => {
    const [guard, other] = guards;
    const node = kept(await asking.take(addressOf(guard)));
    expect(new Set(node.connections.map((each) => each.peer))).toEqual(new Set([relay.peer, guard.self]));
    expect(await failureOf(node.links.open(other.self, circuitProtocol, addressOf(other)))).toBe('link-unreachable');
    expect(await failureOf(node.links.open(relay.peer, circuitProtocol))).toBe('link-unreachable');
    // Nobody can reach it either: it holds no place at the relay.
    expect(await failureOf(other.open(node.self, circuitProtocol))).toBe('link-unreachable');
    expect(new Set(node.connections.map((each) => each.peer))).toEqual(new Set([relay.peer, guard.self]));
    expect(node.connections.filter((each) => each.peer === guard.self)).toHaveLength(1);
    expect(relay.snapshot().map((each) => each.peer)).not.toContain(node.self);
    expect(opened).toEqual([{ guard: guard.self, by: node.self }]);
    expect(guard.connections.map((each) => each.peer)).not.toContain(volunteer.self);
  });

  it('carries frames to its guard, also where the relay introduced them', async () => {
    const [guard] = guards;
    const node = kept(await asking.take(introducedTo(guard)));
    const link: Link = await node.links.open(guard.self, circuitProtocol);
    expect(link.relayed).toBe(false);
    const came = new Promise<Uint8Array>((resolve) => link.onFrame(resolve));
    await link.send(Uint8Array.of(1, 2, 3));
    expect(await came).toEqual(Uint8Array.of(1, 2, 3));
    expect(opened).toEqual([{ guard: guard.self, by: node.self }]);
    expect(new Set(node.connections.map((each) => each.peer))).toEqual(new Set([relay.peer, guard.self]));
  });

  it('has an identity that no other conversation had, and never the volunteer’s', async () => {
    const [guard] = guards;
    const first = kept(await asking.take(addressOf(guard)));
    const second = kept(await asking.take(addressOf(guard)));
    expect(new Set([first.self, second.self, volunteer.self]).size).toBe(3);
  });

  it('is made ahead, given once, and made anew for another guard', async () => {
    const [guard, other] = guards;
    asking.prepare(addressOf(guard));
    asking.prepare(addressOf(guard));
    const first = kept(await asking.take(addressOf(guard)));
    expect(made).toHaveLength(1);
    const second = kept(await asking.take(addressOf(guard)));
    expect(made).toHaveLength(2);
    expect(second.self).not.toBe(first.self);
    asking.prepare(addressOf(guard));
    asking.prepare(addressOf(other));
    const third = kept(await asking.take(addressOf(other)));
    expect(third.guard).toBe(other.self);
    expect(made).toHaveLength(4);
  });

  it('that was made ahead and lost its link is replaced', async () => {
    const [guard] = guards;
    const accepted = new Promise<Link>((resolve) => {
      const unaccept = guard.accept(circuitProtocol, (link) => {
        unaccept();
        resolve(link);
      });
    });
    asking.prepare(addressOf(guard));
    const link = await accepted;
    const [ahead] = made as [Network];
    const nearEnd = await ahead.open(guard.self, circuitProtocol, addressOf(guard));
    link.close();
    await nearEnd.closed;
    const node = kept(await asking.take(addressOf(guard)));
    expect(made).toHaveLength(2);
    expect(node.self).not.toBe(ahead.self);
  });

  it('leaves nothing behind when it stops, when its guard cannot be reached, and when nobody waits for it', async () => {
    const [guard] = guards;
    const node = await asking.take(addressOf(guard));
    const left = new Promise<PeerId>((resolve) => guard.onPeerLeft(resolve));
    await node.stop();
    expect(await left).toBe(node.self);
    expect(node.connections).toEqual([]);

    const nobody = { peer: randomIdentity().peer, addresses: [] };
    expect(await failureOf(asking.take(nobody))).toBe('link-unreachable');
    const gone = new AbortController();
    const taking = failureOf(asking.take(nobody, gone.signal));
    gone.abort(new Error('changed my mind'));
    expect(await taking).toBe('changed my mind');
  });
});
