/** Puts one peer together from its parts, for whatever platform is handed in. */
import { createStageLinks } from '@unfed/inference';
import { checkManifestSizes, loadTokenizer } from '@unfed/model';
import type { Network } from '@unfed/network';
import { manifestHash, randomIdentity, type Manifest, type ManifestHash } from '@unfed/protocol';
import { httpSeed, type ShardSource } from '@unfed/swarm';
import { createAnnouncer } from './announcer.ts';
import { Changes } from './changes.ts';
import { createChat, type OpenChat } from './chat.ts';
import { createDonation } from './donation.ts';
import type { Chat, Peer } from './peer.ts';
import type { PeerOptions, Platform } from './platform.ts';
import { networkView } from './pools.ts';

interface KnownModel {
  name: string;
  manifest?: Manifest;
}

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
  const known = knownModels(options, { network, source, onChange: changes.notify });
  const chats = new Map<ManifestHash, Promise<OpenChat>>();
  const abort = new AbortController();

  async function openChat(hash: ManifestHash, onProgress: (note: string, part: number) => void): Promise<OpenChat> {
    const signal = abort.signal;
    onProgress('reading what the model is made of', 0);
    const { manifest } = await source.manifest(hash, { signal });
    checkManifestSizes(manifest);
    const tokenizer = loadTokenizer(await tokenizerFiles(source, manifest, signal));
    onProgress('starting the runtime', 0.1);
    const engine = await platform.createEngine({ backend: options.endsBackend ?? 'auto', signal });
    const { architecture, quantization } = manifest;
    onProgress('fetching the ends of the model', 0.4);
    const ends = await engine.loadEnds({ architecture, quantization }, (id) => source.shard(manifest, id, { signal }));
    onProgress('ready', 1);
    const chat = createChat({ hash, manifest, tokenizer, ends, network, links });
    abort.signal.addEventListener('abort', () => {
      chat.close();
      void ends.dispose().then(() => engine.dispose());
    });
    return chat;
  }

  return {
    id: identity.peer,
    get network() {
      return networkView(network, known());
    },
    donation,
    openChat(hash, onProgress = () => undefined): Promise<Chat> {
      let chat = chats.get(hash);
      if (chat === undefined) {
        chat = openChat(hash, onProgress);
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

async function tokenizerFiles(source: ShardSource, manifest: Manifest, signal: AbortSignal) {
  const json = async (file: 'tokenizer' | 'tokenizerConfig' | 'generationConfig'): Promise<unknown> =>
    JSON.parse(new TextDecoder().decode(await source.file(manifest, file, { signal })));
  const [tokenizerJson, tokenizerConfig, generationConfig] = await Promise.all([
    json('tokenizer'),
    json('tokenizerConfig'),
    manifest.generationConfig === null ? null : json('generationConfig'),
  ]);
  return { tokenizerJson, tokenizerConfig, generationConfig };
}

/** The relay's models and every one that somebody serves; their manifests are read once, as they become known. */
function knownModels(
  options: PeerOptions,
  { network, source, onChange }: { network: Network; source: ShardSource; onChange: () => void },
): () => ReadonlyMap<ManifestHash, KnownModel> {
  const models = new Map<ManifestHash, KnownModel>();
  const asked = new Set<ManifestHash>();
  const ask = (hash: ManifestHash, name: string | undefined) => {
    if (asked.has(hash)) return;
    asked.add(hash);
    if (name !== undefined) models.set(hash, { name });
    source.manifest(hash, { signal: options.signal }).then(
      ({ manifest }) => {
        models.set(hash, { name: manifest.name, manifest });
        onChange();
      },
      // A pool whose manifest nobody here has is shown by its hash; it is asked for again when it is chosen.
      () => undefined,
    );
  };
  for (const { manifest, name } of options.relay.models) ask(manifestHash(manifest), name);
  return () => {
    for (const { stage } of network.directory.announcements()) if (stage !== null) ask(stage.manifest, undefined);
    return models;
  };
}
