/** The engine in a real page, built as the app is: wasm in full, WebGPU on the software adapter in part. */
import { fileURLToPath } from 'node:url';
import { expect, test, type Page } from '@playwright/test';
import { build, preview, type PreviewServer } from 'vite';
import type { EngineHarness } from './engine/harness.ts';

declare global {
  interface Window {
    readonly harness: EngineHarness;
  }
}

const configFile = fileURLToPath(new URL('engine/vite.config.ts', import.meta.url));
let server: PreviewServer;
let address: string;

test.beforeAll(async () => {
  await build({ configFile, logLevel: 'error' });
  server = await preview({ configFile, logLevel: 'error', preview: { host: '127.0.0.1', port: 0 } });
  address = server.resolvedUrls?.local[0] ?? '';
});
test.afterAll(() => server.close());

test.beforeEach(async ({ page }) => {
  await page.goto(address);
  await page.waitForFunction(() => 'harness' in window);
});

/** Runs the suite's cases, each as a step with its rule as name. */
async function runCases(page: Page, which: 'all' | 'brief'): Promise<void> {
  const names = await page.evaluate((wanted) => window.harness.caseNames(wanted), which);
  expect(names.length).toBeGreaterThan(4);
  for (const name of names) {
    await test.step(name, () => page.evaluate((wanted) => window.harness.runCase(wanted), name));
  }
  await page.evaluate(() => window.harness.stop());
}

test('the runtime is fetched when an engine is asked for and not before; wasm does all that a runner must', async ({
  page,
}) => {
  const runtimeFiles: string[] = [];
  page.context().on('request', (request) => {
    if (request.url().endsWith('.wasm')) runtimeFiles.push(request.url());
  });
  await page.reload();
  await page.waitForFunction(() => 'harness' in window);
  expect(runtimeFiles).toEqual([]);
  expect(await page.evaluate(() => window.harness.start('wasm'))).toEqual({ backend: 'wasm', note: '' });
  expect(runtimeFiles).toHaveLength(1);
  expect(runtimeFiles[0]).not.toContain('asyncify');
  await runCases(page, 'all');
});

test('WebGPU with caches on the device does what a runner must', async ({ page }) => {
  expect(await page.evaluate(() => window.harness.start('webgpu'))).toEqual({ backend: 'webgpu', note: '' });
  await runCases(page, 'brief');
});

test('a software GPU is not chosen, and the note says why', async ({ page }) => {
  expect(await page.evaluate(() => window.harness.start('auto'))).toEqual({
    backend: 'wasm',
    note: 'only a software GPU here, and wasm is faster',
  });
  await page.evaluate(() => window.harness.stop());
});

test('the self-test refuses a device that computes wrong numbers without an error', async ({ page }) => {
  expect(await page.evaluate(() => window.harness.startWithSubgroups())).toBe('self-test-failed');
});

test('without WebGPU there is wasm, and the note says so; WebGPU by force is refused', async ({ page }) => {
  await page.addInitScript(() => Reflect.deleteProperty(Navigator.prototype, 'gpu'));
  await page.reload();
  await page.waitForFunction(() => 'harness' in window);
  expect(await page.evaluate(() => window.harness.start('auto'))).toEqual({ backend: 'wasm', note: 'no WebGPU here' });
  await page.evaluate(() => window.harness.stop());
  expect(await page.evaluate(() => window.harness.start('webgpu'))).toMatchObject({ backend: 'backend-unavailable' });
});
