import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeCbor } from './cbor.ts';
import { fuzz } from './fuzzing.fixture.ts';
import { headShard, layerShard, manifestHash } from './ids.ts';
import * as limits from './limits.ts';
import { exampleManifest } from './manifest.fixture.ts';
import { chunkRange, decodeManifest, encodeManifest, hashManifest, shardEntry, type Manifest } from './manifest.ts';

/** The example with something else in it, whatever its type. */
const bent = (changes: object): Uint8Array => encodeCbor({ ...exampleManifest(), ...changes });
const refused = (bytes: Uint8Array, code = 'decode'): void =>
  expect(() => decodeManifest(bytes)).toThrow(expect.objectContaining({ code }));

describe('manifest', () => {
  it('M1: comes back as it was written, and the same each time', () => {
    const manifest = exampleManifest();
    const bytes = encodeManifest(manifest);
    expect(decodeManifest(bytes)).toEqual(manifest);
    const shuffled = Object.fromEntries(Object.entries(manifest).reverse()) as Manifest;
    expect(encodeManifest(shuffled)).toEqual(bytes);
  });

  it('M1: refuses other versions, missing and unknown keys, empty and long names', () => {
    const { license, ...withoutLicense } = exampleManifest();
    expect(license).toBeDefined();
    refused(encodeCbor(withoutLicense));
    for (const changes of [
      { version: 2 },
      { path: '/etc' },
      { name: '' },
      { name: 'x'.repeat(129) },
      { quantization: 'int8' },
      { shards: {} },
      { tokenizer: null },
    ]) {
      refused(bent(changes));
    }
  });

  it('C2: refuses more bytes than its limit', () => {
    refused(new Uint8Array(limits.manifestBytesMax + 1));
  });

  it('M2: refuses shards that are missing, doubled, strange or in another order', () => {
    const { shards } = exampleManifest();
    const [embedding, first, second, head] = shards as [object, object, object, object];
    for (const list of [
      [],
      [embedding, first, head],
      [embedding, first, first, head],
      [embedding, second, first, head],
      [embedding, first, second, head, head],
      [first, second, embedding, head],
      [embedding, first, second, { ...head, id: 'tail' }],
      [embedding, first, second, { ...head, id: 'layer-02' }],
    ]) {
      refused(bent({ shards: list }));
    }
  });

  it('M3: refuses a size that its chunks do not add up to', () => {
    const { shards } = exampleManifest();
    const [embedding, ...others] = shards as [Manifest['shards'][number]];
    for (const bytes of [0, -1, 1, 2 * limits.chunkBytes, 3 * limits.chunkBytes + 1, 1.5, limits.shardBytesMax + 1]) {
      refused(bent({ shards: [{ ...embedding, bytes }, ...others] }));
    }
    refused(bent({ shards: [{ ...embedding, chunks: embedding.chunks.slice(1) }, ...others] }));
    const short = embedding.chunks.map((hash) => hash.subarray(1));
    refused(bent({ shards: [{ ...embedding, chunks: short }, ...others] }));
  });

  it('M3: chunks cover a shard from end to end', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 * limits.chunkBytes }), (bytes) => {
        const count = Math.ceil(bytes / limits.chunkBytes);
        const chunks = Array.from({ length: count }, () => new Uint8Array(32));
        const entry = { id: headShard, bytes, chunks };
        let end = 0;
        for (let i = 0; i < count; i++) {
          const range = chunkRange(entry, i);
          expect(range.start).toBe(end);
          expect(range.end - range.start).toBeGreaterThan(0);
          expect(range.end - range.start).toBeLessThanOrEqual(limits.chunkBytes);
          end = range.end;
        }
        expect(end).toBe(bytes);
      }),
    );
  });

  it('M4: refuses files over their limits', () => {
    const sha256 = new Uint8Array(32);
    refused(bent({ tokenizer: { bytes: limits.tokenizerBytesMax + 1, sha256 } }));
    refused(bent({ config: { bytes: limits.configBytesMax + 1, sha256 } }));
    refused(bent({ generationConfig: { bytes: 1, sha256: new Uint8Array(31) } }));
  });

  it('M5: is named by the SHA-256 of its bytes, and no other bytes pass for it', () => {
    const bytes = encodeManifest(exampleManifest());
    const hash = hashManifest(bytes);
    expect(hash).toBe(createHash('sha256').update(bytes).digest('hex'));
    expect(decodeManifest(bytes, hash)).toEqual(exampleManifest());
    expect(() => decodeManifest(bytes, manifestHash('0'.repeat(64)))).toThrow(
      expect.objectContaining({ code: 'hash-mismatch' }),
    );
  });

  it('M7: refuses an architecture that cannot be', () => {
    const { architecture } = exampleManifest();
    for (const changes of [
      { family: 'gpt2' },
      { layers: 0 },
      { layers: limits.layersMax + 1 },
      { heads: 3 },
      { headSize: 15 },
      { width: limits.widthMax + 1 },
      { normEpsilon: 0 },
      { ropeScaling: { kind: 'yarn', factor: 2 } },
      { ropeScaling: { kind: 'linear', factor: 0 } },
      { slidingWindow: 0 },
    ]) {
      refused(bent({ architecture: { ...architecture, ...changes } }));
    }
  });

  it('names the shard that it does not have', () => {
    expect(shardEntry(exampleManifest(), layerShard(1)).bytes).toBe(5);
    expect(() => shardEntry(exampleManifest(), layerShard(2))).toThrow(/layer-2/);
  });

  it('C4: gives a value within its limits or a typed error, whatever the bytes are', () => {
    const check = (manifest: Manifest, bytes: Uint8Array): void => {
      expect(encodeManifest(manifest)).toEqual(bytes);
      expect(manifest.shards).toHaveLength(manifest.architecture.layers + 2);
    };
    fuzz((bytes) => decodeManifest(bytes), check, [encodeManifest(exampleManifest())]);
  });
});
