import { mkdtemp, mkdir, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { layerShard } from '@unfed/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { filesStore } from './store-files.node.ts';
import { chunkStoreSuite, modelA, seededBytes, type StoreMedium } from './store.suite.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'unfed-store-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('files store', () => {
  const medium: StoreMedium = {
    open: (options) => filesStore({ ...options, folder }),
    damage: ({ manifest, shard, chunk }, bytes) =>
      writeFile(join(folder, manifest, shard, String(chunk)), bytes ?? new Uint8Array()),
  };
  for (const { name, run } of chunkStoreSuite) it(name, () => run(medium));

  it('takes no notice of what is not its own, and of files that a dead process left unfinished', async () => {
    await mkdir(join(folder, '.unfinished'));
    await writeFile(join(folder, '.unfinished', '1-0'), seededBytes(100, 1));
    await utimes(join(folder, '.unfinished', '1-0'), 0, 0);
    await writeFile(join(folder, '.unfinished', '1-1'), seededBytes(100, 1));
    await writeFile(join(folder, 'notes.txt'), 'mine');
    await mkdir(join(folder, modelA, 'layer-0'), { recursive: true });
    await writeFile(join(folder, modelA, 'layer-0', 'x'), 'mine');
    const store = await filesStore({ folder });
    expect([store.usedBytes, await store.models()]).toEqual([0, []]);
    expect(await readdir(join(folder, '.unfinished'))).toEqual(['1-1']);
    await store.close();
  });

  it('says what failed when the folder cannot be used', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(filesStore({ folder: join(folder, 'file') })).rejects.toMatchObject({ code: 'store' });
  });

  it('gives a failed write to the puts of its batch only', async () => {
    const store = await filesStore({ folder });
    await writeFile(join(folder, modelA), '');
    const put = (chunk: number) => store.put({ manifest: modelA, shard: layerShard(0), chunk }, seededBytes(10, chunk));
    await expect(put(0)).rejects.toMatchObject({ code: 'store' });
    await rm(join(folder, modelA));
    expect(await put(0)).toBe('stored');
    await store.close();
  });
});
