/** The engine in a real page, built as the app is: wasm in full, WebGPU on the software adapter in part. */
import { expect, test, type Page } from '@playwright/test';
import type { EngineHarness } from './engine/harness.ts';
import { startHarness, type HarnessServer } from './harness-server.ts';

let server: HarnessServer;

test.beforeAll(async () => {
  server = await startHarness('engine');
});
test.afterAll(() => server.close());

async function load(page: Page) {
  await page.goto(server.url);
  await page.waitForFunction(() => 'harness' in window);
  return page.evaluateHandle(() => (window as unknown as { harness: EngineHarness }).harness);
}

type Harness = Awaited<ReturnType<typeof load>>;

const start = (harness: Harness, backend: 'auto' | 'webgpu' | 'wasm') =>
  harness.evaluate((it, wanted) => it.start(wanted), backend);

/** Runs the suite's cases, each as a step with its rule as name. */
async function runCases(harness: Harness, which: 'all' | 'brief'): Promise<void> {
  const names = await harness.evaluate((it, wanted) => it.caseNames(wanted), which);
  expect(names.length).toBeGreaterThan(4);
  for (const name of names) {
    await test.step(name, () => harness.evaluate((it, wanted) => it.runCase(wanted), name));
  }
  await harness.evaluate((it) => it.stop());
}

test('the runtime is fetched when an engine is asked for and not before; wasm does all that a runner must', async ({
  page,
}) => {
  const runtimeFiles: string[] = [];
  page.context().on('request', (request) => {
    if (request.url().endsWith('.wasm')) runtimeFiles.push(request.url());
  });
  const harness = await load(page);
  expect(runtimeFiles).toEqual([]);
  expect(await start(harness, 'wasm')).toEqual({ backend: 'wasm', note: '' });
  expect(runtimeFiles).toHaveLength(1);
  expect(runtimeFiles[0]).not.toContain('asyncify');
  await runCases(harness, 'all');
});

test('WebGPU with caches on the device does what a runner must', async ({ page }) => {
  const harness = await load(page);
  expect(await start(harness, 'webgpu')).toEqual({ backend: 'webgpu', note: '' });
  await runCases(harness, 'brief');
});

test('a software GPU is not chosen, and the note says why', async ({ page }) => {
  const harness = await load(page);
  expect(await start(harness, 'auto')).toEqual({
    backend: 'wasm',
    note: 'only a software GPU here, and wasm is faster',
  });
  await harness.evaluate((it) => it.stop());
});

test('the self-test refuses a device that computes wrong numbers without an error', async ({ page }) => {
  const harness = await load(page);
  expect(await harness.evaluate((it) => it.startWithSubgroups())).toBe('self-test-failed');
});

test('without WebGPU there is wasm, and the note says so; WebGPU by force is refused', async ({ page }) => {
  await page.addInitScript(() => Reflect.deleteProperty(Navigator.prototype, 'gpu'));
  const harness = await load(page);
  expect(await start(harness, 'auto')).toEqual({ backend: 'wasm', note: 'no WebGPU here' });
  await harness.evaluate((it) => it.stop());
  expect(await start(harness, 'webgpu')).toMatchObject({ backend: 'backend-unavailable' });
});
