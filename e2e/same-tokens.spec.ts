/**
 * However the layers are cut, the tokens are the same: every prompt and cut on wasm, two prompts and one cut on WebGPU (the
 * software adapter is slow). `SAME_TOKENS=all` runs every prompt and cut on WebGPU too.
 */
import { readFile } from 'node:fs/promises';
import { ensureDemoModel } from '@unfed/model/node';
import { expect, test, type Page } from '@playwright/test';
import type { PromptRow } from '../packages/client/src/same-tokens.suite.ts';
import { startHarness, type HarnessServer } from './harness-server.ts';
import type { SameTokensHarness } from './same-tokens/harness.ts';

const modelsDir = 'build/models';
const tokensMax = 32;
const whole = process.env['SAME_TOKENS'] === 'all';

let server: HarnessServer;
let hash: string;
let prompts: PromptRow[];

test.beforeAll(async () => {
  ({ hash } = await ensureDemoModel(modelsDir));
  prompts = JSON.parse(await readFile('models/demo/prompts.json', 'utf8')) as PromptRow[];
  server = await startHarness('same-tokens', { publicDir: modelsDir });
});
test.afterAll(() => server.close());

const harnessOf = (page: Page) =>
  page.evaluateHandle(() => (window as unknown as { harness: SameTokensHarness }).harness);

async function start(page: Page, backend: 'wasm' | 'webgpu') {
  await page.goto(server.url);
  await page.waitForFunction(() => 'harness' in window);
  const harness = await harnessOf(page);
  await harness.evaluate((it, options) => it.start(options), { backend, hash });
  return harness;
}

test('wasm: 2, 4 and 8 stages give every prompt the tokens and the bits of one process', async ({ page }) => {
  const harness = await start(page, 'wasm');
  const alone = await harness.evaluate((it, args) => it.alone(args.prompts, args.tokensMax), { prompts, tokensMax });
  const expected = await harness.evaluate((it, args) => it.expected(args.prompts, args.tokensMax), {
    prompts,
    tokensMax,
  });
  prompts.forEach((prompt, i) => {
    if (prompt.smallestMargin >= 0.05) expect(alone[i].tokens, `prompt ${i}`).toEqual(expected[i]);
  });
  const cut = (stages: number, precision: 'f32' | 'f16') =>
    harness.evaluate((it, a) => it.cut(a.stages, a.prompts, a), { stages, prompts, tokensMax, precision });
  for (const stages of [2, 4, 8]) {
    await test.step(`${stages} stages`, async () => expect(await cut(stages, 'f32')).toEqual(alone));
  }
  await test.step('2 stages between own layers, which share a worker with the ends', async () => {
    const [stages, ownLayers, precision] = [2, { first: 1, last: 2 }, 'f32'] as const;
    const options = { stages, ownLayers, prompts, tokensMax, precision };
    expect(await harness.evaluate((it, a) => it.cut(a.stages, a.prompts, a), options)).toEqual(alone);
  });
  await test.step('4 stages with float16 between them', async () => {
    const halves = await cut(4, 'f16');
    prompts.forEach((prompt, i) => {
      if (prompt.smallestMargin >= 0.05) expect(halves[i].tokens, `prompt ${i}`).toEqual(alone[i].tokens);
    });
  });
  await harness.evaluate((it) => it.stop());
});

test('WebGPU: stages give the tokens and the bits of one process', async ({ page }) => {
  test.setTimeout(whole ? 7_200_000 : 300_000);
  const harness = await start(page, 'webgpu');
  const some = whole ? prompts : [prompts[0], prompts[1]];
  const alone = await harness.evaluate((it, a) => it.alone(a.some, a.tokensMax), { some, tokensMax });
  const expected = await harness.evaluate((it, a) => it.expected(a.some, a.tokensMax), { some, tokensMax });
  some.forEach((prompt, i) => {
    if (prompt.smallestMargin >= 0.05) expect(alone[i].tokens, `prompt ${i}`).toEqual(expected[i]);
  });
  for (const stages of whole ? [2, 4, 8] : [2]) {
    const options = { stages, some, tokensMax, precision: 'f32' as const };
    const cut = await harness.evaluate((it, a) => it.cut(a.stages, a.some, a), options);
    expect(cut, `${stages} stages`).toEqual(alone);
  }
  await harness.evaluate((it) => it.stop());
});
