import { embeddingShard, headShard, layerShard, type Architecture, type Manifest } from '@unfed/protocol';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { embeddingRows } from './embedding-rows.ts';
import { checkManifestSizes, shardLayout, tensorIn } from './shard-layout.ts';
import { spanGraph } from './span-graph.ts';
import { shardSources } from './weight-sources.ts';

const demo: Architecture = {
  family: 'llama',
  layers: 8,
  width: 192,
  ffnWidth: 512,
  heads: 6,
  kvHeads: 2,
  headSize: 32,
  vocabulary: 2048,
  contextLength: 384,
  normEpsilon: 1e-5,
  ropeTheta: 10_000,
  ropeScaling: null,
  slidingWindow: null,
  qkvBias: false,
  outputBias: false,
  qkNorm: false,
  tiedEmbeddings: true,
};

const architectures = fc
  .record({
    width: fc.integer({ min: 1, max: 300 }),
    ffnWidth: fc.integer({ min: 1, max: 300 }),
    kvHeads: fc.integer({ min: 1, max: 4 }),
    groups: fc.integer({ min: 1, max: 4 }),
    headSize: fc.integer({ min: 1, max: 40 }).map((half) => 2 * half),
    vocabulary: fc.integer({ min: 1, max: 300 }),
    qkvBias: fc.boolean(),
    outputBias: fc.boolean(),
    qkNorm: fc.boolean(),
    tiedEmbeddings: fc.boolean(),
  })
  .map(({ groups, ...fields }): Architecture => ({ ...demo, ...fields, heads: groups * fields.kvHeads }));
const quantizations = fc.constantFrom('int4' as const, 'none' as const);
const shards = fc.constantFrom(embeddingShard, headShard, layerShard(0));

describe('the layout of a shard', () => {
  test('has aligned tensors that do not overlap, the last one at its end', () => {
    fc.assert(
      fc.property(architectures, quantizations, shards, (architecture, quantization, id) => {
        const { bytes, tensors } = shardLayout(architecture, quantization, id);
        let end = 0;
        for (const tensor of tensors) {
          expect(tensor.offset % 64).toBe(0);
          expect(tensor.offset).toBeGreaterThanOrEqual(end);
          end = tensor.offset + tensor.bytes;
        }
        expect(end).toBe(bytes);
      }),
    );
  });

  test('has a source for every tensor, and a place in it for every row and column', () => {
    fc.assert(
      fc.property(architectures, quantizations, shards, (architecture, quantization, id) => {
        const layout = shardLayout(architecture, quantization, id);
        const { matrices, vectors } = shardSources(architecture, quantization, id);
        const filled = [...[...matrices.keys()].map((name) => `${name}.weight`), ...vectors.keys()];
        const stored = layout.tensors.map(({ name }) => name).filter((name) => !name.endsWith('.scales'));
        expect(filled.sort()).toEqual(stored.sort());
        for (const [name, parts] of matrices) {
          const { shape } = tensorIn(layout, `${name}.weight`);
          const inputs = quantization === 'int4' ? shape[1] * 32 : shape[1];
          const rows = parts.flatMap((part) => Array.from({ length: part.rows }, (_, row) => part.targetRow(row)));
          expect(new Set(rows).size).toBe(rows.length);
          expect(Math.max(...rows)).toBeLessThan(shape[0]);
          for (const part of parts) expect(part.targetColumn(part.columns - 1)).toBeLessThan(inputs);
        }
      }),
    );
  });

  test('of a layer that the model lacks is refused', () => {
    expect(() => shardLayout(demo, 'int4', layerShard(8))).toThrow('layer-0 to layer-7');
  });
});

test('a manifest that gives a shard another size than its architecture is refused', () => {
  const ids = [embeddingShard, ...Array.from({ length: 8 }, (_, i) => layerShard(i)), headShard];
  const entries = ids.map((id) => ({ id, bytes: shardLayout(demo, 'int4', id).bytes, chunks: [] }));
  const manifest = { architecture: demo, quantization: 'int4', shards: entries } as unknown as Manifest;
  expect(() => checkManifestSizes(manifest)).not.toThrow();
  for (let lying = 0; lying < ids.length; lying++) {
    const shards = entries.map((entry, i) => (i === lying ? { ...entry, bytes: entry.bytes - 1 } : entry));
    expect(() => checkManifestSizes({ ...manifest, shards })).toThrow(
      expect.objectContaining({ code: 'manifest-size', shard: ids[lying], cameBytes: entries[lying].bytes - 1 }),
    );
  }
});

describe('a span graph', () => {
  test('names its shards as files', () => {
    const { externalFiles, inputs, outputs } = spanGraph(demo, 'int4', { first: 2, last: 4 });
    expect(externalFiles).toEqual([
      { path: 'layer-2.bin', shard: 'layer-2' },
      { path: 'layer-3.bin', shard: 'layer-3' },
    ]);
    expect(inputs.slice(0, 3)).toEqual(['hidden', 'past_key_2', 'past_value_2']);
    expect(outputs.at(-1)).toBe('present_value_3');
  });

  test.each([
    [3, 3],
    [-1, 2],
    [7, 9],
    [0.5, 2],
  ])('of [%d, %d) is refused', (first, last) => {
    expect(() => spanGraph(demo, 'int4', { first, last })).toThrow('layers within [0, 8)');
  });

  test('for more positions than the context is refused', () => {
    expect(() => spanGraph(demo, 'int4', { first: 0, last: 1, positionsMax: 385 })).toThrow('1 to 384');
  });

  test('over its limit of bytes is refused before its tables are made', () => {
    const long = { ...demo, contextLength: 1_048_576, headSize: 512 };
    expect(() => spanGraph(long, 'int4', { first: 0, last: 1, positionsMax: 1_048_576 })).toThrow(
      expect.objectContaining({ code: 'graph-too-large', bytesMax: 64 << 20 }),
    );
  });
});

describe('embedding rows', () => {
  const bytes = new Uint8Array(shardLayout(demo, 'int4', embeddingShard).bytes);
  const model = { architecture: demo, quantization: 'int4' } as const;

  test.each([-1, 2048, 1.5, Number.NaN])('of token %d are refused', (id) => {
    expect(() => embeddingRows(model, bytes, [id])).toThrow('token: expected 0 to 2047');
  });

  test('of a shard that was cut are refused', () => {
    expect(() => embeddingRows(model, bytes.subarray(1), [1])).toThrow('embedding shard');
  });
});
