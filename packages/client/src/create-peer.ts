/** Puts one peer together from its parts, for whatever platform is handed in. */
import { createStageLinks, type StageLinks } from '@unfed/inference';
import type { Network } from '@unfed/network';
import { manifestHash, randomIdentity, type ManifestHash, type PeerId } from '@unfed/protocol';
import { httpFiles, httpSeed, withPublishers, type ShardSource } from '@unfed/swarm';
import { createActivity } from './activity.ts';
import { createAnnouncer, type Announcer } from './announcer.ts';
import { Changes } from './changes.ts';
import { createCircuits, type Circuits } from './circuits.ts';
import { createDonation } from './donation.ts';
import { isLocalRelay } from './local-relay.ts';
import { knownModels, modelName, type KnownModel } from './known-models.ts';
import { namedPublishers } from './named-publishers.ts';
import { openChat } from './open-chat.ts';
import { PeerPenalties } from './peer-penalties.ts';
import type { Chat, Peer } from './peer.ts';
import type { PeerOptions, Platform } from './platform.ts';
import { networkView } from './pools.ts';
import { watchStageNeighbours, type StageNeighbours } from './stage-neighbours.ts';
import { createWeights } from './weights.ts';

export async function createPeerOn(platform: Platform, options: PeerOptions): Promise<Peer> {
  const abort = new AbortController();
  const { identity, network, circuits, announcer } = await join(platform, options, abort.signal);
  const publisherOf = namedPublishers(options.relay);
  const source = withPublishers(httpSeed({ baseUrl: options.modelsUrl }), publisherOf);
  const neighbours = watchStageNeighbours(network);
  const links = createStageLinks(neighbours.links);
  const changes = new Changes();
  const stopListening = [network.onChange(changes.notify), network.directory.onChange(changes.notify)];
  const known = knownModels({
    listed: options.relay.models.map(({ manifest, name }) => ({ manifest: manifestHash(manifest), name })),
    directory: network.directory,
    source,
    signal: abort.signal,
    onChange: changes.notify,
  });
  const { activity, weights, donation } = createVolunteer(platform, options, {
    network,
    announcer,
    circuits,
    neighbours,
    links,
    known,
    source,
    publisherOf,
    onChange: changes.notify,
  });
  const parts = {
    platform,
    source: weights.source,
    network,
    links,
    penalties: new PeerPenalties(),
    circuits: circuits.ofChats,
  };
  const chats = new Map<ManifestHash, Promise<Chat>>();

  return {
    id: identity.peer,
    get network() {
      return networkView(network, known(), circuits);
    },
    donation,
    weights,
    openChat(hash, onProgress = () => undefined): Promise<Chat> {
      let chat = chats.get(hash);
      if (chat === undefined) {
        const { endsBackend = 'auto', ownLayers } = options;
        circuits.prepareToAsk();
        const opening = openChat({ ...parts, endsBackend, ownLayers, signal: abort.signal }, hash, onProgress);
        chat = opening.then((opened) => activity.watch(opened));
        chats.set(hash, chat);
        // What failed is tried anew the next time.
        chat.catch(() => chats.delete(hash));
      }
      return chat;
    },
    onChange: (listener) => changes.listen(listener),
    async stop() {
      abort.abort();
      await donation.stop();
      await weights.stop();
      announcer.stop();
      links.stop();
      await circuits.stop();
      for (const stop of stopListening) stop();
      changes.stop();
      await network.stop();
    },
  };
}

export { memoryGuardStore } from './guard-store.ts';
export type { OpenedStore, PeerOptions, Platform } from './platform.ts';

/**
 * Meets the others under the identity that volunteers.
 * @param stopped ends what is made for asking
 */
async function join(platform: Platform, options: PeerOptions, stopped: AbortSignal) {
  const { relay, signal, identity = randomIdentity() } = options;
  const network = await platform.createNetwork({
    identity,
    relays: [{ peer: relay.peer, addresses: relay.addresses }],
    iceServers: relay.iceServers.map((server) => ({ ...server })),
    allowPrivateAddresses: options.allowPrivateAddresses ?? isLocalRelay(relay.addresses),
    signal,
  });
  const circuits = createCircuits({ platform, options, network, signal: stopped });
  const announcer = createAnnouncer(network, {
    identity,
    forward: options.forward ?? false,
    operator: options.operator ?? null,
    hopKeys: circuits.hopKeys,
  });
  return { identity, network, circuits, announcer };
}

interface VolunteerParts {
  readonly network: Network;
  readonly announcer: Announcer;
  readonly circuits: Circuits;
  readonly neighbours: StageNeighbours;
  readonly links: StageLinks;
  readonly known: () => ReadonlyMap<ManifestHash, KnownModel>;
  readonly source: ShardSource;
  readonly publisherOf: (manifest: ManifestHash) => PeerId | undefined;
  readonly onChange: () => void;
}

/** What a peer needs to serve layers: chunks, the donation that loads them, and how busy both find the line. */
function createVolunteer(platform: Platform, options: PeerOptions, parts: VolunteerParts) {
  const { network, announcer, circuits, neighbours, links, known, source, publisherOf, onChange } = parts;
  const activity = createActivity({
    positionsServed: () => (donation.state.kind === 'serving' ? donation.state.positionsServed : 0),
    onChange: () => weights.shareLine(),
  });
  const weights = createWeights({
    network,
    announcer,
    seed: httpFiles({ baseUrl: options.modelsUrl }),
    seedSource: source,
    openStore: () => platform.openStore(options.storeFolder),
    askToKeep: () => platform.askToKeep(),
    publisherOf,
    isNeighbour: (peer) => neighbours.has(peer),
    isBusy: () => activity.isBusy(),
    nameOf: (manifest) => modelName(manifest, known().get(manifest)),
    knownModels: () => known().keys(),
    onChange,
  });
  const donation = createDonation({
    platform,
    network,
    links,
    circuits: circuits.service,
    weights,
    announcer,
    onChange,
  });
  return { activity, weights, donation };
}
