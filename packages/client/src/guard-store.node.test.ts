import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, it } from 'vitest';
import { fileGuardStore } from './guard-store.node.ts';
import { guardStoreSuite } from './guard-store.suite.ts';
import { memoryGuardStore, pageGuardStore } from './guard-store.ts';

const root = mkdtempSync(join(tmpdir(), 'unfed-guards-'));
afterAll(() => rmSync(root, { recursive: true }));

let folder = '';
let memory = memoryGuardStore();
let items = new Map<string, string>();
beforeEach(() => {
  folder = join(mkdtempSync(join(root, 'store-')), 'peer');
  memory = memoryGuardStore();
  items = new Map();
});

guardStoreSuite('guards in memory', () => memory);
guardStoreSuite('guards in a file', () => fileGuardStore(folder));
guardStoreSuite('guards in a page', () =>
  pageGuardStore({
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, text) => void items.set(key, text),
  }),
);

it('a file of guards is its owner’s alone, and nothing is left beside it', () => {
  fileGuardStore(folder).write('guards');
  expect(readdirSync(folder)).toEqual(['guards.json']);
  expect(statSync(join(folder, 'guards.json')).mode & 0o777).toBe(0o600);
});
