/** The checks that need no test run: format, lint, boundaries, types. Two lanes of about the same length. */
import type { Step } from './steps.ts';

const format: Step = { name: 'format', command: ['prettier', '--check', '--log-level=warn', '.'], output: 'onFailure' };
const lint: Step = { name: 'lint', command: ['eslint', '.', '--max-warnings=0'], output: 'onFailure' };
const boundaries: Step = {
  name: 'boundaries',
  command: ['node', '--import', 'tsx', 'scripts/boundaries.ts'],
  output: 'onFailure',
};
const types: Step = { name: 'types', command: ['tsc', '-b'], output: 'onFailure' };
const svelteTypes: Step = {
  name: 'svelte',
  command: ['svelte-check', '--tsconfig', 'apps/web/tsconfig.json', '--fail-on-warnings', '--output', 'human'],
  output: 'onFailure',
};

export const checkLanes: readonly (readonly Step[])[] = [
  [types, svelteTypes],
  [format, boundaries, lint],
];
