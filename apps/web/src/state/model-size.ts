/** How much the first question fetches: said before it is fetched. */
import {
  decodeManifest,
  embeddingShard,
  headShard,
  limits,
  manifestFileName,
  manifestFileNames,
  shardEntry,
  InvalidValueError,
  type ManifestFile,
  type ManifestHash,
} from '@unfed/protocol';

/**
 * @param modelsUrl where the relay serves models
 * @returns bytes of the model's ends: embedding, head, tokenizer and configuration
 * @throws InvalidValueError, DecodeError, HashMismatchError when the manifest is not the one asked for
 */
export async function endsBytes(modelsUrl: string, manifest: ManifestHash, signal: AbortSignal): Promise<number> {
  const response = await fetch(`${modelsUrl}/${manifest}/${manifestFileName}`, { signal });
  if (!response.ok) throw new InvalidValueError('manifest', 'status 200', `status ${response.status}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes.byteLength > limits.manifestBytesMax) {
    throw new InvalidValueError('manifest', `at most ${limits.manifestBytesMax} bytes`, `${bytes.byteLength}`);
  }
  const decoded = decodeManifest(bytes, manifest);
  const files = (Object.keys(manifestFileNames) as ManifestFile[]).map((file) => decoded[file]?.bytes ?? 0);
  const shards = [embeddingShard, headShard].map((id) => shardEntry(decoded, id).bytes);
  return [...files, ...shards].reduce((sum, size) => sum + size, 0);
}
