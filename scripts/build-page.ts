/** Builds the page into build/web when a source of it changed since the last time. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'vite';
import { repository } from './child.ts';

export const webRoot = join(repository, 'build/web');
const stamp = join(repository, 'build/web.stamp');
const sources = ['apps/web', 'packages', 'public', 'vite.config.ts', 'package-lock.json'];

/** @returns whether it had to be built */
export async function buildPage({ force = false } = {}): Promise<boolean> {
  const hash = await sourceHash();
  const current = existsSync(join(webRoot, 'index.html')) && existsSync(stamp) && readFileSync(stamp, 'utf8') === hash;
  if (current && !force) return false;
  await build({ configFile: join(repository, 'vite.config.ts'), logLevel: 'error' });
  writeFileSync(stamp, hash);
  return true;
}

/** SHA-256 over names and contents of all that the page is built from; tests and build outputs left out. */
async function sourceHash(): Promise<string> {
  const hash = createHash('sha256');
  for (const source of sources) {
    for (const path of (await filesUnder(source)).sort()) {
      hash.update(`${path}\0`).update(await readFile(join(repository, path)));
    }
  }
  return hash.digest('hex');
}

async function filesUnder(path: string): Promise<string[]> {
  if (!existsSync(join(repository, path))) return [];
  if (/\.[a-z]+$/.test(path)) return [path];
  const entries = await readdir(join(repository, path), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(repository.length + 1))
    .filter((file) => !/(^|\/)(node_modules|dist)\/|\.(test|suite)\.ts$|\.tsbuildinfo$|\.md$/.test(file));
}
