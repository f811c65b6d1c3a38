/**
 * What of circuits one peer has: the hop that it is for others while it forwards or serves, with links to likely neighbours,
 * and what asking for this person needs.
 */
import { createHopKeys, type HopKeys } from '@unfed/circuit';
import { createCircuitLinks, createCircuitService, type CircuitService } from '@unfed/inference';
import type { Network } from '@unfed/network';
import { peerId } from '@unfed/protocol';
import { createAsker } from './asker.ts';
import { createAskingNodes } from './asking-nodes.ts';
import { directoryReady } from './directory-ready.ts';
import { GuardSample } from './guard-sample.ts';
import { memoryGuardStore } from './guard-store.ts';
import { isLocalRelay } from './local-relay.ts';
import { keepNeighbourLinks } from './neighbour-links.ts';
import type { PeerOptions, Platform } from './platform.ts';
import type { RouteParts } from './route-ways.ts';

export interface Circuits {
  /** The same that this peer announces. */
  readonly hopKeys: HopKeys;
  /** Peers of one operator or network may stand in one circuit, since all are on this machine or in this room. */
  readonly local: boolean;
  readonly guards: GuardSample;
  readonly service: CircuitService;
  /** By what chats ask; undefined where their routes go straight to the stages. */
  readonly ofChats: RouteParts['circuits'];
  /** Makes the first conversation's node ahead, where chats ask by circuits. What fails shows when somebody asks. */
  prepareToAsk(): void;
  /** Ends what this peer does for others, and the node that was made to ask with. Conversations end by themselves. */
  stop(): Promise<void>;
}

export interface CircuitsInit {
  readonly platform: Pick<Platform, 'createNetwork' | 'openGuardStore'>;
  readonly options: Pick<PeerOptions, 'relay' | 'storeFolder' | 'allowPrivateAddresses' | 'route' | 'forwarders'>;
  /** Of the identity that volunteers. */
  readonly network: Network;
  /** Ends all nodes that were made to ask with. */
  readonly signal: AbortSignal;
}

export function createCircuits({ platform, options, network, signal }: CircuitsInit): Circuits {
  const { relay, storeFolder } = options;
  const { directory, self } = network;
  const local = isLocalRelay(relay.addresses);
  const hopKeys = createHopKeys({ nowMs: Date.now });
  const links = createCircuitLinks(network);
  const service = createCircuitService({ links, keys: hopKeys, directory });
  const neighbours = keepNeighbourLinks({ self, directory, local, open: (peer, how) => links.open(peer, how) });
  // Peers of a local pool are others at every start: guards that were kept would be nobody's.
  const guards = new GuardSample({ store: local ? memoryGuardStore() : platform.openGuardStore(storeFolder) });
  const nodes = createAskingNodes({
    createNetwork: (how) => platform.createNetwork(how),
    relays: [{ peer: relay.peer, addresses: relay.addresses }],
    iceServers: relay.iceServers.map((server) => ({ ...server })),
    allowPrivateAddresses: options.allowPrivateAddresses ?? local,
    signal,
  });
  const asker = createAsker({
    directory,
    guards,
    nodes,
    relayIsThere: () => network.relayState.kind === 'connected',
    relays: [peerId(relay.peer)],
    self,
    local,
  });
  return {
    hopKeys,
    local,
    guards,
    service,
    ofChats: options.route === 'circuit' ? { asker, forwarders: options.forwarders } : undefined,
    prepareToAsk() {
      if (options.route !== 'circuit') return;
      void directoryReady(network, signal).then(
        () => asker.prepare(),
        () => undefined,
      );
    },
    async stop() {
      neighbours.stop();
      service.stop();
      links.stop();
      await nodes.stop();
    },
  };
}
