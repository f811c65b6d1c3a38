/** Puts one peer together from its parts, for whatever platform is handed in. */
import { createStageLinks } from '@unfed/inference';
import { manifestHash, randomIdentity, type ManifestHash } from '@unfed/protocol';
import { httpSeed } from '@unfed/swarm';
import { createAnnouncer } from './announcer.ts';
import { Changes } from './changes.ts';
import type { OpenChat } from './chat.ts';
import { createDonation } from './donation.ts';
import { knownModels } from './known-models.ts';
import { openChat } from './open-chat.ts';
import { PeerPenalties } from './peer-penalties.ts';
import type { Chat, Peer } from './peer.ts';
import type { PeerOptions, Platform } from './platform.ts';
import { networkView } from './pools.ts';

export async function createPeerOn(platform: Platform, options: PeerOptions): Promise<Peer> {
  const identity = options.identity ?? randomIdentity();
  const network = await platform.createNetwork({
    identity,
    relays: [{ peer: options.relay.peer, addresses: options.relay.addresses }],
    iceServers: options.relay.iceServers.map((server) => ({ ...server })),
    allowPrivateAddresses: options.allowPrivateAddresses ?? options.relay.addresses.some(isPrivateAddress),
    signal: options.signal,
  });
  const source = httpSeed({ baseUrl: options.modelsUrl });
  const links = createStageLinks(network);
  const announcer = createAnnouncer(network, {
    identity,
    forward: options.forward ?? false,
    operator: options.operator ?? null,
  });
  const changes = new Changes();
  const stopListening = [network.onChange(changes.notify), network.directory.onChange(changes.notify)];
  const donation = createDonation({ platform, network, links, source, announcer, onChange: changes.notify });
  const parts = { platform, source, network, links, penalties: new PeerPenalties() };
  const chats = new Map<ManifestHash, Promise<OpenChat>>();
  const abort = new AbortController();
  const known = knownModels({
    listed: options.relay.models.map(({ manifest, name }) => ({ manifest: manifestHash(manifest), name })),
    directory: network.directory,
    source,
    signal: abort.signal,
    onChange: changes.notify,
  });

  return {
    id: identity.peer,
    get network() {
      return networkView(network, known());
    },
    donation,
    openChat(hash, onProgress = () => undefined): Promise<Chat> {
      let chat = chats.get(hash);
      if (chat === undefined) {
        const { endsBackend = 'auto' } = options;
        chat = openChat({ ...parts, endsBackend, signal: abort.signal }, hash, onProgress);
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
      announcer.stop();
      links.stop();
      for (const stop of stopListening) stop();
      changes.stop();
      await network.stop();
    },
  };
}

/** Loopback and the private ranges of RFC 1918, in a multiaddr. */
function isPrivateAddress(address: string): boolean {
  return /^\/(ip4\/(127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)|ip6\/::1\/|dns[46]?\/localhost\/)/.test(address);
}
