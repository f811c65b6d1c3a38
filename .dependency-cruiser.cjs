/** Who may import whom: the levels of ARCHITECTURE.md as rules. scripts/boundaries.test.ts proves that each one bites. */

/** The level of every package that exists or has its place reserved; a package imports only from lower levels. */
const levels = {
  protocol: 0,
  model: 1,
  engine: 1,
  swarm: 1,
  circuit: 1,
  attestation: 1,
  network: 1,
  inference: 2,
  client: 3,
};

/** Neighbours on one level that the drawing needs. */
const neighbours = { engine: ['model'] };

/** Tests, the suites that several tests share, and what they are made from. */
const tests = '\\.(test|suite|fixture)\\.ts$';
const tools = '^(scripts|bench|e2e)/';
const configs = '^[^/]+\\.(config\\.(ts|js)|cjs)$';
const nodePlaces = ['^apps/(relay|node|cli)/', tools, configs, '\\.node\\.ts$', tests, '^packages/testing/'];

const packageRules = Object.entries(levels).map(([name, level]) => {
  const allowed = Object.keys(levels).filter((other) => levels[other] < level);
  const reachable = [name, ...allowed, ...(neighbours[name] ?? []), 'testing'].join('|');
  return {
    name: `level-of-${name}`,
    comment: `${name} is on level ${level} and imports only from lower levels`,
    severity: 'error',
    from: { path: `^packages/${name}/` },
    to: { path: '^packages/', pathNot: `^packages/(${reachable})/` },
  };
});

module.exports = {
  forbidden: [
    ...packageRules,
    {
      name: 'known-package',
      comment: 'give a new package a level in .dependency-cruiser.cjs, and a line in ARCHITECTURE.md',
      severity: 'error',
      from: { path: '^packages/', pathNot: `^packages/(${[...Object.keys(levels), 'testing'].join('|')})/` },
      to: {},
    },
    {
      name: 'packages-below-apps',
      comment: 'packages know nothing of apps and tools',
      severity: 'error',
      from: { path: '^packages/' },
      to: { path: ['^apps/', tools] },
    },
    {
      name: 'apps-apart',
      comment: 'apps share code through packages, never with each other or with the tools',
      severity: 'error',
      from: { path: '^apps/([^/]+)/' },
      to: { path: ['^apps/', tools], pathNot: '^apps/$1/' },
    },
    {
      name: 'testing-is-for-tests',
      comment: 'only tests, suites, e2e and bench import packages/testing',
      severity: 'error',
      from: { pathNot: [tests, '^(bench|e2e)/', '^packages/testing/'] },
      to: { path: '^packages/testing/' },
    },
    {
      name: 'fixtures-are-for-tests',
      comment: 'only tests and tools import tests, suites and fixtures',
      severity: 'error',
      from: { pathNot: [tests, '^(bench|e2e)/', '^packages/testing/'] },
      to: { path: `^(packages|apps)/.*${tests}` },
    },
    {
      name: 'testing-below-client',
      comment: 'packages/testing stands beside the packages of level 1, so that those above may use it in their tests',
      severity: 'error',
      from: { path: '^packages/testing/', pathNot: tests },
      to: { path: '^packages/(inference|client)/' },
    },
    {
      name: 'across-by-name',
      comment: 'another package is imported by its name, never by a path',
      severity: 'error',
      from: { path: '^(packages|apps)/([^/]+)/' },
      to: {
        path: '^packages/',
        pathNot: '^$1/$2/',
        dependencyTypes: ['local'],
        dependencyTypesNot: ['aliased-workspace'],
      },
    },
    {
      name: 'tools-by-name',
      comment: 'tools import packages by name; suites and fixtures, which no package exports, by path',
      severity: 'error',
      from: { path: [tools, configs] },
      to: { path: '^packages/', pathNot: tests, dependencyTypes: ['local'], dependencyTypesNot: ['aliased-workspace'] },
    },
    {
      name: 'node-in-its-places',
      comment: 'node:* only in apps/relay, apps/node, apps/cli, tools, tests and files named *.node.ts',
      severity: 'error',
      from: { pathNot: nodePlaces },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'node-files-stay-in-node',
      comment: 'a page must not reach a *.node.ts file',
      severity: 'error',
      from: { pathNot: nodePlaces },
      to: { path: '\\.node\\.ts$' },
    },
    {
      name: 'runtimes-in-engine',
      comment: 'only packages/engine knows onnxruntime and comlink',
      severity: 'error',
      from: { pathNot: ['^packages/engine/', tests] },
      to: { path: '(^|/)(onnxruntime-[a-z]+|comlink)(/|$)' },
    },
    {
      name: 'libp2p-in-network',
      comment: 'only packages/network knows libp2p and multiformats',
      severity: 'error',
      from: { pathNot: ['^packages/network/', tests] },
      to: { path: '(^|/)(libp2p|@libp2p/[^/]+|@multiformats/[^/]+|@chainsafe/libp2p-[^/]+)(/|$)' },
    },
    {
      name: 'no-cycles',
      comment: 'two files that import each other are one file, or lack a third',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'resolvable',
      comment: 'an import that leads nowhere: misspelt, not exported by its package, or not installed',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: '\\?(url|raw|worker)' },
    },
    {
      name: 'listed',
      comment: "what code imports stands in its own package.json's dependencies",
      severity: 'error',
      from: { path: '^(packages|apps)/', pathNot: [tests, '/dev/', '^packages/testing/'] },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev'], pathNot: ['^packages/', '/(svelte|vite)/'] },
    },
    {
      name: 'no-orphans',
      comment: 'a file that nothing imports and that imports nothing is dead',
      severity: 'error',
      from: {
        orphan: true,
        pathNot: ['\\.config\\.(ts|js)$', '\\.d\\.ts$', tests, configs, '/bin/', '/(index|main)(\\.node)?\\.ts$'],
      },
      to: {},
    },
  ],
  options: {
    doNotFollow: { path: ['node_modules'] },
    exclude: { path: ['^(packages|apps)/[^/]+/dist/', '^build/', '(^|/)\\.cache/'] },
    tsPreCompilationDeps: true,
    detectProcessBuiltinModuleCalls: true,
    combinedDependencies: false,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'node', 'browser', 'default'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.svelte', '.json', '.d.ts'],
      mainFields: ['module', 'main', 'types'],
    },
  },
};
