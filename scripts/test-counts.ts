/** Reads how many tests passed and failed from the reports of vitest and Playwright. */
import { existsSync, readFileSync } from 'node:fs';
import * as v from 'valibot';

export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
}

const vitestSchema = v.object({ numPassedTests: v.number(), numFailedTests: v.number() });
const playwrightSchema = v.object({
  stats: v.object({ expected: v.number(), unexpected: v.number(), flaky: v.number(), skipped: v.number() }),
  errors: v.array(v.unknown()),
});
const reportSchema = v.union([
  v.pipe(
    vitestSchema,
    v.transform((report): TestCounts => ({ passed: report.numPassedTests, failed: report.numFailedTests })),
  ),
  v.pipe(
    playwrightSchema,
    // A flaky test passed on a second try, which nobody asked for; a skipped one proved nothing.
    v.transform(({ stats, errors }): TestCounts => ({
      passed: stats.expected,
      failed: stats.unexpected + stats.flaky + stats.skipped + errors.length,
    })),
  ),
]);

/** @returns null when there is no report, or none that can be read: the run broke before it could write one */
export function readTestCounts(path: string): TestCounts | null {
  if (!existsSync(path)) return null;
  try {
    return v.parse(reportSchema, JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    // A broken report counts as none: the caller then counts its step as failed.
    return null;
  }
}

/** What a run comes to: tests of all reports, and one failure for each failed step whose report shows none. */
export function totalCounts(steps: readonly { ok: boolean; counts: TestCounts | null }[]): TestCounts {
  let [passed, failed] = [0, 0];
  for (const { ok, counts } of steps) {
    passed += counts?.passed ?? 0;
    failed += Math.max(counts?.failed ?? 0, ok ? 0 : 1);
  }
  return { passed, failed };
}
