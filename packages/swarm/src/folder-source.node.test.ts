import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { folderSource } from './folder-source.node.ts';
import { modelFixture } from './model.fixture.ts';
import { shardSourceSuite } from './shard-source.suite.ts';

shardSourceSuite('folder', async () => {
  const { hash, files } = modelFixture();
  const folder = await mkdtemp(join(tmpdir(), 'unfed-folder-'));
  await mkdir(join(folder, hash));
  for (const [file, bytes] of files) await writeFile(join(folder, hash, file), bytes);
  return {
    source: folderSource(folder),
    put: (path, bytes) => (bytes === null ? rm(join(folder, path)) : writeFile(join(folder, path), bytes)),
    stop: () => rm(folder, { recursive: true }),
  };
});
