/** The smallest model, for the tests of a relay that serves it. */
import { createHash } from 'node:crypto';
import * as protocol from '@unfed/protocol';

/** The bytes of each of its shards. */
export const tinyShard = Uint8Array.from({ length: 5000 }, (_, i) => (i * 7) % 251);

const sha256 = (bytes: Uint8Array): Uint8Array<ArrayBuffer> =>
  new Uint8Array(createHash('sha256').update(bytes).digest());

export function tinyModel(name: string): {
  readonly manifest: protocol.Manifest;
  readonly bytes: Uint8Array;
  readonly hash: protocol.ManifestHash;
} {
  const file = (bytes: number) => ({ bytes, sha256: sha256(new Uint8Array(bytes)) });
  const shard = (id: protocol.ShardId) => ({ id, bytes: tinyShard.length, chunks: [sha256(tinyShard)] });
  const manifest: protocol.Manifest = {
    version: 1,
    name,
    license: '',
    source: '',
    architecture: {
      family: 'llama',
      layers: 1,
      width: 32,
      ffnWidth: 32,
      heads: 2,
      kvHeads: 1,
      headSize: 16,
      vocabulary: 10,
      contextLength: 16,
      normEpsilon: 1e-5,
      ropeTheta: 10_000,
      ropeScaling: null,
      slidingWindow: null,
      qkvBias: false,
      outputBias: false,
      qkNorm: false,
      tiedEmbeddings: true,
    },
    quantization: 'int4',
    shards: [protocol.embeddingShard, protocol.layerShard(0), protocol.headShard].map(shard),
    tokenizer: file(3),
    tokenizerConfig: file(4),
    config: file(5),
    generationConfig: null,
  };
  const bytes = protocol.encodeManifest(manifest);
  return { manifest, bytes, hash: protocol.hashManifest(bytes) };
}
