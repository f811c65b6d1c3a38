/** What the documents promise and the repository must keep: the two commands, the CI that runs one of them, the lock. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { repository } from './child.ts';

const documents = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md'];

function read(path: string): string {
  return readFileSync(join(repository, path), 'utf8');
}

function shellBlocks(markdown: string): string[] {
  return [...markdown.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, text = '']) => text.trim());
}

it('the first command of the README starts all, the second tests all', () => {
  expect(shellBlocks(read('README.md')).slice(0, 2)).toEqual(['npm ci && npm start', 'npm ci && npm test']);
});

it("CI runs exactly the README's test command", () => {
  const folder = mkdtempSync(join(tmpdir(), 'unfed-ci-'));
  try {
    mkdirSync(join(folder, '.ci'));
    cpSync(join(repository, '.ci/run'), join(folder, '.ci/run'));
    writeFileSync(join(folder, 'README.md'), read('README.md').replace('npm ci && npm test', 'echo this ran && pwd'));
    const said = execFileSync(join(folder, '.ci/run'), { encoding: 'utf8', cwd: '/' });
    expect(said).toBe(`+ echo this ran && pwd\nthis ran\n${folder}\n`);
    writeFileSync(join(folder, 'README.md'), '# No commands\n');
    expect(() => execFileSync(join(folder, '.ci/run'), { stdio: 'pipe' })).toThrow('expected a second sh block');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('every npm script that a document names exists', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const named = documents.flatMap((path) =>
    [...read(path).matchAll(/npm run (?:-s )?([a-z0-9]+)/g)].map(([, name]) => name),
  );
  expect(named.filter((name) => !(name in scripts))).toEqual([]);
  expect(named.length).toBeGreaterThan(0);
});

it('every file that a document links to exists', () => {
  const broken = documents.flatMap((path) =>
    [...read(path).matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)]
      .map(([, target]) => join(dirname(path), target))
      .filter((target) => !existsSync(join(repository, target))),
  );
  expect(broken).toEqual([]);
});

it('the lock names no registry, so that it installs from whichever one is set', () => {
  const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, { resolved?: string }> };
  const resolved = Object.values(packages).flatMap((entry) => entry.resolved ?? []);
  expect(resolved.filter((target) => !/^(apps|packages)\/[a-z]+$/.test(target))).toEqual([]);
});
