/** The closing line of `npm test` counts what was run, and never hides a failure. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { readTestCounts, totalCounts } from './test-counts.ts';

const folder = mkdtempSync(join(tmpdir(), 'unfed-counts-'));
afterAll(() => rmSync(folder, { recursive: true }));

function report(text: string): string {
  const path = join(folder, 'report.json');
  writeFileSync(path, text);
  return path;
}

it("vitest's report gives passed and failed", () => {
  const path = report(JSON.stringify({ numTotalTests: 9, numPassedTests: 7, numFailedTests: 2, success: false }));
  expect(readTestCounts(path)).toEqual({ passed: 7, failed: 2 });
});

it('in a Playwright report flaky and skipped tests and errors outside of tests are failures', () => {
  const stats = { expected: 5, unexpected: 1, flaky: 1, skipped: 1, duration: 3 };
  expect(readTestCounts(report(JSON.stringify({ stats, errors: [{ message: 'x' }] })))).toEqual({
    passed: 5,
    failed: 4,
  });
});

it('no report and a broken report are told from one without failures', () => {
  expect(readTestCounts(join(folder, 'absent.json'))).toBeNull();
  expect(readTestCounts(report('{"numPassedTests": 3'))).toBeNull();
  expect(readTestCounts(report('{}'))).toBeNull();
});

it('a failed step without failed tests is one failure', () => {
  const steps = [
    { ok: false, counts: null },
    { ok: false, counts: { passed: 3, failed: 0 } },
    { ok: false, counts: { passed: 1, failed: 2 } },
    { ok: true, counts: { passed: 4, failed: 0 } },
  ];
  expect(totalCounts(steps)).toEqual({ passed: 8, failed: 4 });
});
