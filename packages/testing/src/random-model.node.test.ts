import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkManifestSizes, embeddingRows } from '@unfed/model';
import { decodeManifest, embeddingShard } from '@unfed/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { randomModelFolder, randomShards } from './random-model.node.ts';
import { qwenHalfBillionShape } from './random-shards.ts';

let scratch = '';
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'unfed-random-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

const small = { ...qwenHalfBillionShape, layers: 2, width: 64, ffnWidth: 96, heads: 4, headSize: 16, vocabulary: 128 };

test('a random model has a manifest that passes every check, the same for the same seed', async () => {
  const one = await randomShards(small, 1);
  expect(decodeManifest(one.manifestBytes, one.hash)).toEqual(one.manifest);
  expect(() => checkManifestSizes(one.manifest)).not.toThrow();
  expect((await randomShards(small, 1)).hash).toBe(one.hash);
  expect((await randomShards(small, 2)).hash).not.toBe(one.hash);
});

test('its weights are of ordinary size', async () => {
  const { manifest, shard } = await randomShards(small, 1);
  const rows = embeddingRows(manifest, shard(embeddingShard), [0, 1, 127]);
  const meanSquare = rows.reduce((sum, value) => sum + value * value, 0) / rows.length;
  expect(meanSquare * small.width).toBeGreaterThan(0.5);
  expect(meanSquare * small.width).toBeLessThan(2);
});

test('it opens from disk as any other model', async () => {
  const { hash, manifest } = await randomModelFolder(scratch, small, { seed: 1 });
  expect(hash).toBe((await randomShards(small, 1)).hash);
  expect(manifest.shards).toHaveLength(4);
});
