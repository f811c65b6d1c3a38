/** Makes a model ready for asking: manifest, tokenizer, the ends and own layers, each checked, on an engine of their own. */
import type { Backend, ShardReader } from '@unfed/engine';
import { checkManifestSizes, loadTokenizer } from '@unfed/model';
import {
  DecodeError,
  embeddingShard,
  headShard,
  manifestFileNames,
  shardEntry,
  type Manifest,
  type ManifestFile,
  type ManifestHash,
} from '@unfed/protocol';
import type { ShardSource } from '@unfed/swarm';
import { createChat, type ChatParts, type OpenChat } from './chat.ts';
import { EndsTooLargeError } from './errors.ts';
import * as limits from './limits.ts';
import { loadLocalParts, ownLayersDefault, ownShards, type OwnLayers } from './own-layers.ts';
import type { Platform } from './platform.ts';

export interface OpenChatParts extends Pick<ChatParts, 'network' | 'links' | 'penalties' | 'circuits'> {
  readonly platform: Pick<Platform, 'createEngine'>;
  readonly source: ShardSource;
  readonly endsBackend: 'auto' | Backend;
  /** Layers that run here. Default: `ownLayersDefault`. */
  readonly ownLayers?: OwnLayers;
  /** Ends the chat and its engine, too. */
  readonly signal: AbortSignal;
}

/**
 * @throws what the source and the engine throw, ManifestSizeError, EndsTooLargeError, DecodeError, InvalidValueError for
 * own layers that leave nothing to others, the signal's reason; nothing stays loaded
 */
export async function openChat(
  { platform, source, endsBackend, ownLayers = ownLayersDefault, signal, ...parts }: OpenChatParts,
  hash: ManifestHash,
  onProgress: (note: string, part: number) => void,
): Promise<OpenChat> {
  onProgress('reading what the model is made of', 0);
  const { manifest } = await source.manifest(hash, { signal });
  checkManifestSizes(manifest);
  checkEndsSize(manifest, ownLayers);
  const tokenizer = loadTokenizer(await tokenizerFiles(source, manifest, signal));
  onProgress('starting the runtime', 0.1);
  const engine = await platform.createEngine({ backend: endsBackend, signal });
  try {
    onProgress('fetching the ends of the model', 0.4);
    const read: ShardReader = (id) => source.shard(manifest, id, { signal });
    const local = await loadLocalParts(engine, manifest, { own: ownLayers, read, signal });
    signal.throwIfAborted();
    onProgress('ready', 1);
    const chat = createChat({ hash, manifest, tokenizer, ...local, ...parts });
    const end = (): void => {
      chat.close();
      // The ends go with their engine; what a dying worker says to that interests nobody.
      engine.dispose().catch(() => undefined);
    };
    signal.addEventListener('abort', end, { once: true });
    return chat;
  } catch (error) {
    await engine.dispose();
    throw error;
  }
}

/** Before anything of them is fetched. */
function checkEndsSize(manifest: Manifest, ownLayers: OwnLayers): void {
  const files = (Object.keys(manifestFileNames) as ManifestFile[]).map((file) => manifest[file]?.bytes ?? 0);
  const shards = [embeddingShard, headShard, ...ownShards(ownLayers, manifest)].map(
    (id) => shardEntry(manifest, id).bytes,
  );
  const bytes = [...files, ...shards].reduce((sum, size) => sum + size, 0);
  if (bytes > limits.endsBytesMax) throw new EndsTooLargeError(manifest.name, bytes, limits.endsBytesMax);
}

async function tokenizerFiles(source: ShardSource, manifest: Manifest, signal: AbortSignal) {
  const json = async (file: ManifestFile): Promise<unknown> => {
    const text = new TextDecoder().decode(await source.file(manifest, file, { signal }));
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new DecodeError(manifestFileNames[file], 'JSON', JSON.stringify(text.slice(0, 40)), { cause });
    }
  };
  const [tokenizerJson, tokenizerConfig, generationConfig] = await Promise.all([
    json('tokenizer'),
    json('tokenizerConfig'),
    manifest.generationConfig === null ? null : json('generationConfig'),
  ]);
  return { tokenizerJson, tokenizerConfig, generationConfig };
}
