/** Every rule of the boundary checker, shown to bite: a good tree passes, and each bad file in it is refused by name. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findViolations } from './boundaries.ts';

const levels: Record<string, string[]> = {
  protocol: [],
  model: ['protocol'],
  engine: ['model', 'protocol'],
  swarm: ['protocol'],
  circuit: ['protocol'],
  attestation: ['protocol'],
  network: ['protocol'],
  inference: ['engine', 'protocol'],
  client: ['inference', 'network'],
  testing: ['protocol'],
};
const foreign = ['onnxruntime-web', 'comlink', 'libp2p', '@libp2p/webrtc', '@multiformats/multiaddr', 'unlisted'];

let root: string;

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

function writePackage(folder: string, name: string, dependencies: readonly string[]): void {
  const listed = Object.fromEntries(dependencies.map((dependency) => [dependency, '1.0.0']));
  const exports = { '.': './src/index.ts' };
  write(`${folder}/package.json`, JSON.stringify({ name, type: 'module', exports, dependencies: listed }));
}

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'unfed-boundaries-'));
  const workspaces = ['packages/*', 'apps/*'];
  write('package.json', JSON.stringify({ name: 'fixture', private: true, type: 'module', workspaces }));
  mkdirSync(join(root, 'node_modules/@unfed'), { recursive: true });
  for (const name of foreign) {
    writePackage(`node_modules/${name}`, name, []);
    write(`node_modules/${name}/src/index.ts`, 'export const it = 1;\n');
  }
  for (const [name, uses] of Object.entries(levels)) {
    const extra = name === 'engine' ? ['comlink'] : name === 'network' ? ['libp2p'] : [];
    const names = [...uses.map((used) => `@unfed/${used}`), ...extra];
    writePackage(`packages/${name}`, `@unfed/${name}`, names);
    const lines = names.map((used, index) => `export * as used${index} from '${used}';\n`);
    write(`packages/${name}/src/index.ts`, `${lines.join('')}export const ${name} = 1;\n`);
    symlinkSync(join(root, 'packages', name), join(root, 'node_modules/@unfed', name));
  }
  writePackage('apps/relay', '@unfed/relay', ['@unfed/client']);
  write('apps/relay/src/main.ts', "import '@unfed/client';\nimport 'node:fs';\nimport './relay.ts';\n");
  write('packages/model/src/fuzz.fixture.ts', "import './index.ts';\n");
  write('apps/relay/src/relay.ts', 'export const relay = 1;\n');
  write('scripts/start.ts', "import '@unfed/client';\nimport '../apps/relay/src/main.ts';\nimport 'node:path';\n");
});

afterEach(() => rmSync(root, { recursive: true }));

/** Writes one bad file and @returns the names of the rules that refuse anything. */
async function refusals(path: string, text: string): Promise<string[]> {
  write(path, text);
  const violations = await findViolations(root);
  return [...new Set(violations.map(({ rule }) => rule))];
}

it('a tree that keeps the rules passes', async () => {
  expect(await findViolations(root)).toEqual([]);
});

describe('levels', () => {
  const wrong: [from: string, to: string][] = [
    ['protocol', 'model'],
    ['model', 'engine'],
    ['engine', 'network'],
    ['swarm', 'network'],
    ['circuit', 'network'],
    ['attestation', 'circuit'],
    ['network', 'swarm'],
    ['inference', 'client'],
  ];
  it.each(wrong)('%s does not import %s', async (from, to) => {
    const rules = await refusals(`packages/${from}/src/bad.ts`, `export * from '@unfed/${to}';\n`);
    expect(rules).toContain(`level-of-${from}`);
  });

  it('a type import counts too', async () => {
    const rules = await refusals('packages/model/src/bad.ts', "export type * from '@unfed/network';\n");
    expect(rules).toContain('level-of-model');
  });

  it('a package without a level is refused', async () => {
    writePackage('packages/ledger', '@unfed/ledger', ['@unfed/protocol']);
    const rules = await refusals('packages/ledger/src/index.ts', "export * from '@unfed/protocol';\n");
    expect(rules).toContain('known-package');
  });
});

const bad: [rule: string, path: string, text: string][] = [
  ['packages-below-apps', 'packages/client/src/bad.ts', "export * from '../../../apps/relay/src/relay.ts';"],
  ['apps-apart', 'apps/node/src/bad.ts', "export * from '../../relay/src/relay.ts';"],
  ['testing-is-for-tests', 'packages/model/src/bad.ts', "export * from '@unfed/testing';"],
  ['fixtures-are-for-tests', 'packages/model/src/bad.ts', "export * from './fuzz.fixture.ts';"],
  ['testing-below-client', 'packages/testing/src/bad.ts', "export * from '@unfed/client';"],
  ['across-by-name', 'packages/model/src/bad.ts', "export * from '../../protocol/src/index.ts';"],
  ['across-by-name', 'apps/relay/src/bad.ts', "export * from '../../../packages/client/src/index.ts';"],
  ['tools-by-name', 'scripts/bad.ts', "export * from '../packages/client/src/index.ts';"],
  ['node-in-its-places', 'packages/model/src/bad.ts', "export { readFileSync } from 'node:fs';"],
  ['node-in-its-places', 'apps/web/src/bad.ts', "export { readFileSync } from 'node:fs';"],
  ['runtimes-in-engine', 'packages/inference/src/bad.ts', "export * from 'onnxruntime-web';"],
  ['runtimes-in-engine', 'bench/bad.ts', "export * from 'comlink';"],
  ['libp2p-in-network', 'packages/client/src/bad.ts', "export * from 'libp2p';"],
  ['libp2p-in-network', 'apps/relay/src/bad.ts', "export * from '@libp2p/webrtc';"],
  ['libp2p-in-network', 'packages/swarm/src/bad.ts', "export * from '@multiformats/multiaddr';"],
  ['resolvable', 'packages/model/src/bad.ts', "export * from './absent.ts';"],
  ['resolvable', 'packages/model/src/bad.ts', "export * from '@unfed/protocol/src/index.ts';"],
  ['listed', 'packages/model/src/bad.ts', "export * from 'unlisted';"],
  ['no-orphans', 'packages/model/src/bad.ts', 'export const alone = 1;'],
  ['package-json', 'packages/client/src/bad.ts', "export * from '@unfed/swarm';"],
];

describe('imports', () => {
  it.each(bad)('%s refuses %s: %s', async (rule, path, text) => {
    expect(await refusals(path, `${text}\n`)).toContain(rule);
  });

  it('a page file does not reach a file for Node', async () => {
    write('packages/model/src/read.node.ts', "export { readFileSync } from 'node:fs';\n");
    const rules = await refusals('packages/model/src/bad.ts', "export * from './read.node.ts';\n");
    expect(rules).toContain('node-files-stay-in-node');
  });

  it('two files do not import each other', async () => {
    write('packages/model/src/other.ts', "export * from './bad.ts';\n");
    expect(await refusals('packages/model/src/bad.ts', "export * from './other.ts';\n")).toContain('no-cycles');
  });

  it('a dependency that nothing uses is refused', async () => {
    writePackage('packages/swarm', '@unfed/swarm', ['@unfed/protocol', 'unlisted']);
    expect(await refusals('packages/swarm/src/more.ts', "import './index.ts';\n")).toContain('package-json');
  });

  it('e2e may reach a suite, which no package exports, by its path', async () => {
    expect(await refusals('e2e/good.spec.ts', "import '../packages/model/src/fuzz.fixture.ts';\n")).toEqual([]);
  });

  it('tests may use testing, Node and libp2p', async () => {
    const text = "import 'node:fs';\nimport '@unfed/testing';\nimport 'libp2p';\nimport './index.ts';\n";
    expect(await refusals('packages/swarm/src/good.test.ts', text)).toEqual([]);
  });
});

it('every rule of the configuration has a case here', () => {
  const { forbidden } = createRequire(import.meta.url)('../.dependency-cruiser.cjs') as {
    forbidden: { name: string }[];
  };
  const elsewhere = ['known-package', 'node-files-stay-in-node', 'no-cycles', 'level-of-client'];
  const shown = [...bad.map(([rule]) => rule), ...Object.keys(levels).map((name) => `level-of-${name}`), ...elsewhere];
  expect(forbidden.map(({ name }) => name).filter((name) => !shown.includes(name))).toEqual([]);
});
