/**
 * `npm test`: everything that is checked, in the order in which a mistake is found soonest. Stops at the first failure;
 * with CI set in the environment, or `--all`, it runs the rest too. The last line is `N passed, M failed`.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { errorText } from '@unfed/protocol';
import { checkLanes } from './check-steps.ts';
import { repository } from './child.ts';
import { runLanes, type Step, type StepResult } from './steps.ts';
import { readTestCounts, totalCounts } from './test-counts.ts';

const keepGoing = process.argv.includes('--all') || !['', '0', 'false', undefined].includes(process.env['CI']);
const reports = join(repository, 'build/reports');
const unitReport = join(reports, 'unit.json');
const e2eReport = join(reports, 'e2e.json');

const build: Step = { name: 'build', command: ['node', '--import', 'tsx', 'scripts/build.ts'], output: 'onFailure' };
// Early, so that a machine without a browser is told at once.
const chromium: Step = {
  name: 'chromium',
  command: ['node', '--import', 'tsx', 'scripts/find-chromium.ts'],
  output: 'live',
};
const unit: Step = {
  name: 'unit',
  command: ['vitest', 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${unitReport}`],
  output: 'live',
};
const e2e: Step = {
  name: 'e2e',
  command: ['playwright', 'test'],
  output: 'live',
  environment: { PLAYWRIGHT_JSON_OUTPUT_FILE: e2eReport },
};

async function main(signal: AbortSignal): Promise<void> {
  const startMs = performance.now();
  rmSync(reports, { recursive: true, force: true });
  mkdirSync(reports, { recursive: true });
  const results: StepResult[] = [];
  const [types = [], checks = []] = checkLanes;
  // Checks and the build share the two cores; the tests that follow have them for themselves, so that times mean something.
  for (const lanes of [
    [
      [...types, build],
      [chromium, ...checks],
    ],
    [[unit]],
    [[e2e]],
  ]) {
    if (results.some(({ ok }) => !ok) && !keepGoing) break;
    results.push(...(await runLanes(lanes, { keepGoing, signal })));
  }
  const reportOf: Record<string, string> = { unit: unitReport, e2e: e2eReport };
  const counted = results.map(({ name, ok }) => ({ ok, counts: readTestCounts(reportOf[name] ?? '') }));
  const { passed, failed } = totalCounts(counted);
  console.log(`\nAll of it took ${((performance.now() - startMs) / 60_000).toFixed(1)} min.`);
  console.log(`${passed} passed, ${failed} failed`);
  if (failed > 0 || signal.aborted) process.exitCode = 1;
}

const abort = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => abort.abort());
try {
  await main(abort.signal);
} catch (error) {
  console.error(`${errorText(error)}\n0 passed, 1 failed`);
  process.exitCode = 1;
}
