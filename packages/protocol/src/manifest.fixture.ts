/** A valid manifest of two layers, to bend in tests. */
import { embeddingShard, headShard, layerShard, type ShardId } from './ids.ts';
import * as limits from './limits.ts';
import type { Manifest } from './manifest.ts';

const hash = (n: number): Uint8Array => new Uint8Array(32).fill(n);

export function exampleManifest(): Manifest {
  const shard = (id: ShardId, bytes: number) => ({
    id,
    bytes,
    chunks: Array.from({ length: Math.ceil(bytes / limits.chunkBytes) }, (_, i) => hash(i)),
  });
  return {
    version: 1,
    name: 'example',
    license: 'Apache-2.0',
    source: 'made up',
    architecture: {
      family: 'llama',
      layers: 2,
      width: 64,
      ffnWidth: 128,
      heads: 4,
      kvHeads: 2,
      headSize: 16,
      vocabulary: 100,
      contextLength: 64,
      normEpsilon: 1e-5,
      ropeTheta: 10_000,
      ropeScaling: null,
      slidingWindow: null,
      qkvBias: false,
      outputBias: false,
      qkNorm: false,
      tiedEmbeddings: false,
    },
    quantization: 'int4',
    shards: [
      shard(embeddingShard, 2 * limits.chunkBytes + 1),
      shard(layerShard(0), limits.chunkBytes),
      shard(layerShard(1), 5),
      shard(headShard, limits.chunkBytes - 1),
    ],
    tokenizer: { bytes: 10, sha256: hash(9) },
    tokenizerConfig: { bytes: 20, sha256: hash(8) },
    config: { bytes: 30, sha256: hash(7) },
    generationConfig: null,
  };
}
