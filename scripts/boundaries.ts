/** `npm run boundaries`: who may import whom (.dependency-cruiser.cjs), and that each package.json lists what is used. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { cruise, type ICruiseResult } from 'dependency-cruiser';
import extractConfig from 'dependency-cruiser/config-utl/extract-depcruise-config';
import { isMain } from './is-main.ts';

const repository = resolve(import.meta.dirname, '..');
const config = join(repository, '.dependency-cruiser.cjs');
const folders = ['packages', 'apps', 'scripts', 'bench', 'e2e'];

export interface Violation {
  /** Name of the rule in .dependency-cruiser.cjs, or `package-json`. */
  readonly rule: string;
  readonly from: string;
  readonly to: string;
}

/** @param root a folder laid out like this repository; folders that it lacks are left out */
export async function findViolations(root: string): Promise<Violation[]> {
  const { options, ...ruleSet } = await extractConfig(config);
  const present = folders.filter((folder) => existsSync(join(root, folder)));
  const { output } = await cruise(present, { ...options, baseDir: root, ruleSet, validate: true });
  if (typeof output === 'string') throw new TypeError('the checker gave text; expected its result as an object');
  const broken = output.summary.violations.map(({ rule, from, to }) => ({ rule: rule.name, from, to }));
  return [...broken, ...workspaceDrift(root, output)];
}

/** Workspace packages that are used but not listed, or listed but used by nothing: the checker cannot tell. */
function workspaceDrift(root: string, result: ICruiseResult): Violation[] {
  const used = new Map<string, Set<string>>();
  for (const { source, dependencies } of result.modules) {
    const owner = /^(packages|apps)\/[^/]+/.exec(source)?.[0];
    if (owner === undefined || isTest(source)) continue;
    const names = used.get(owner) ?? new Set();
    used.set(owner, names);
    for (const { module } of dependencies) names.add(packageName(module));
  }
  const drift: Violation[] = [];
  for (const [owner, names] of used) {
    const from = `${owner}/package.json`;
    if (!existsSync(join(root, from))) continue;
    const listed = dependenciesOf(join(root, from));
    for (const name of names) {
      if (name.startsWith('@unfed/') && !listed.includes(name)) {
        drift.push({ rule: 'package-json', from, to: `${name} is used but not listed` });
      }
    }
    for (const name of listed) {
      if (!names.has(name)) drift.push({ rule: 'package-json', from, to: `${name} is listed but not used` });
    }
  }
  return drift;
}

function isTest(path: string): boolean {
  return /\.(test|suite|fixture)\.ts$/.test(path);
}

/** `@scope/name/deep/file` → `@scope/name`; `name/deep` → `name`. */
function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

function dependenciesOf(packageJson: string): string[] {
  const { dependencies = {} } = JSON.parse(readFileSync(packageJson, 'utf8')) as {
    dependencies?: Record<string, string>;
  };
  return Object.keys(dependencies);
}

if (isMain(import.meta)) {
  const violations = await findViolations(repository);
  for (const { rule, from, to } of violations) console.error(`${rule}: ${from} → ${to}`);
  console.log(`boundaries: ${violations.length} violations`);
  if (violations.length > 0) process.exitCode = 1;
}
