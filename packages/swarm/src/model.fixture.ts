/** A small model of noise, with shards around the borders of chunks, for the tests of sources. */
import { createHash } from 'node:crypto';
import * as protocol from '@unfed/protocol';
import type { Manifest, ManifestHash, ShardId } from '@unfed/protocol';

export interface ModelFixture {
  readonly manifest: Manifest;
  readonly hash: ManifestHash;
  /** Contents by file name. */
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

/** Sizes: more than two chunks, one chunk exactly, one byte more, a few bytes. */
const shardBytes = [2 * (1 << 20) + 12_345, 1 << 20, (1 << 20) + 1, 7];

export function noise(bytes: number, seed: number): Uint8Array<ArrayBuffer> {
  const noisy = new Uint8Array(bytes);
  for (let i = 0, state = seed; i < bytes; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    noisy[i] = state >>> 24;
  }
  return noisy;
}

const sha256 = (bytes: Uint8Array): Uint8Array<ArrayBuffer> =>
  new Uint8Array(createHash('sha256').update(bytes).digest());

function shardEntry(id: ShardId, bytes: Uint8Array): protocol.ShardEntry {
  const chunks = Array.from({ length: Math.ceil(bytes.length / protocol.limits.chunkBytes) }, (_, i) =>
    sha256(bytes.subarray(i * protocol.limits.chunkBytes, (i + 1) * protocol.limits.chunkBytes)),
  );
  return { id, bytes: bytes.length, chunks };
}

export function modelFixture(): ModelFixture {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const add = (name: string, bytes: Uint8Array<ArrayBuffer>): { bytes: number; sha256: Uint8Array<ArrayBuffer> } => {
    files.set(name, bytes);
    return { bytes: bytes.length, sha256: sha256(bytes) };
  };
  const ids = [protocol.embeddingShard, protocol.layerShard(0), protocol.layerShard(1), protocol.headShard];
  const shards = ids.map((id, i) => {
    const bytes = noise(shardBytes[i] ?? 1, i + 1);
    files.set(protocol.shardFileName(id), bytes);
    return shardEntry(id, bytes);
  });
  const names = protocol.manifestFileNames;
  const manifest: Manifest = {
    version: 1,
    name: 'noise',
    license: 'none',
    source: 'a test',
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
      tiedEmbeddings: true,
    },
    quantization: 'int4',
    shards,
    tokenizer: add(names.tokenizer, noise(70_000, 21)),
    tokenizerConfig: add(names.tokenizerConfig, noise(500, 22)),
    config: add(names.config, noise(300, 23)),
    generationConfig: null,
  };
  const bytes = protocol.encodeManifest(manifest);
  files.set(protocol.manifestFileName, bytes);
  return { manifest, hash: protocol.hashManifest(bytes), files };
}
