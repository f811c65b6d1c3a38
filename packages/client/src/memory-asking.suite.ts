/** Asking on the network in memory, for tests: an asker whose nodes are peers there, and who of them is still about. */
import type { Network } from '@unfed/network';
import { networkGroupOf, publicKeyOf, type Directory, type Identity, type Listing, type PeerId } from '@unfed/protocol';
import { seededRandom, type MemoryNetwork } from '@unfed/testing';
import { createAsker, type Asker, type AskerInit } from './asker.ts';
import { createAskingNodes } from './asking-nodes.ts';
import { GuardSample } from './guard-sample.ts';
import { memoryGuardStore } from './guard-store.ts';

export interface MemoryAsking {
  readonly asker: Asker;
  readonly guards: GuardSample;
  /** Identities of nodes that were made to ask with, in order. */
  readonly made: readonly PeerId[];
  /** Those that are still there. */
  readonly here: ReadonlySet<PeerId>;
  /** Whom each of them opened links to. */
  readonly linked: ReadonlyMap<PeerId, ReadonlySet<PeerId>>;
  stop(): void;
}

export interface MemoryAskingOptions extends Partial<Pick<AskerInit, 'relayIsThere'>> {
  readonly directory: Pick<Directory, 'announcements'>;
  readonly self: PeerId;
  readonly relay: PeerId;
}

/** Every peer is long-lived and in a network of its own. */
export function memoryAsking(memory: MemoryNetwork, options: MemoryAskingOptions): MemoryAsking {
  const { self, relay, relayIsThere = () => true } = options;
  const made: PeerId[] = [];
  const here = new Set<PeerId>();
  const linked = new Map<PeerId, Set<PeerId>>();
  const abort = new AbortController();
  const listing = (peer: PeerId): Listing => ({
    networkGroups: [networkGroupOf(relay, publicKeyOf(peer).slice(0, 16))],
    listedMs: 1e9,
  });

  /** As far as an asking node looks at its network. */
  function join(who: Identity): Network {
    const links = memory.peer(who);
    made.push(who.peer);
    here.add(who.peer);
    linked.set(who.peer, new Set());
    const network: Pick<Network, 'self' | 'open' | 'accept' | 'connections' | 'stop'> = {
      self: who.peer,
      open: (peer, ...how) => {
        linked.get(who.peer)?.add(peer);
        return links.open(peer, ...how);
      },
      accept: (...how) => links.accept(...how),
      connections: [],
      stop: () => {
        here.delete(who.peer);
        memory.leave(who.peer);
        return Promise.resolve();
      },
    };
    return network as Network;
  }

  const guards = new GuardSample({ store: memoryGuardStore(), random: seededRandom(1) });
  const asker = createAsker({
    directory: { announcements: () => options.directory.announcements(), listing },
    guards,
    nodes: createAskingNodes({
      createNetwork: ({ identity }) => Promise.resolve(join(identity)),
      relays: [],
      iceServers: [],
      signal: abort.signal,
    }),
    relayIsThere,
    relays: [relay],
    self,
    local: false,
    random: seededRandom(1),
  });
  return { asker, guards, made, here, linked, stop: () => abort.abort(new Error('over')) };
}
