/** What is moved in every round, whoever moves it: one shard of random chunks, and the manifest that names them. */
import { embeddingShard, encodeManifest, headShard, layerShard, limits, type Manifest } from '@unfed/protocol';

export const shard = layerShard(0);

/** @returns 1 MiB that only this chunk has; the same on every machine (xorshift32) */
export function chunkOf(chunk: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(limits.chunkBytes / 4);
  let state = (chunk + 1) * 2654435761;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer);
}

/** @param hashes SHA-256 by chunk @returns a manifest's bytes; its ends are one byte each, which nobody fetches */
export function manifestOf(hashes: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const nothing = new Uint8Array(32);
  const file = { bytes: 1, sha256: nothing };
  const manifest: Manifest = {
    version: 1,
    name: `random ${hashes.length} MiB`,
    license: 'none',
    source: 'made by the benchmark',
    architecture: {
      family: 'llama',
      layers: 1,
      width: 64,
      ffnWidth: 64,
      heads: 1,
      kvHeads: 1,
      headSize: 64,
      vocabulary: 64,
      contextLength: 64,
      normEpsilon: 1e-6,
      ropeTheta: 10_000,
      ropeScaling: null,
      slidingWindow: null,
      qkvBias: false,
      outputBias: false,
      qkNorm: false,
      tiedEmbeddings: true,
    },
    quantization: 'none',
    shards: [
      { id: embeddingShard, bytes: 1, chunks: [nothing] },
      { id: shard, bytes: hashes.length * limits.chunkBytes, chunks: [...hashes] },
      { id: headShard, bytes: 1, chunks: [nothing] },
    ],
    tokenizer: file,
    tokenizerConfig: file,
    config: file,
    generationConfig: null,
  };
  return encodeManifest(manifest);
}
