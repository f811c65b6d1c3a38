/** What a page fetched to ask with, it has at the next start. */
import { expect, test, type BrowserContext } from '@playwright/test';
import type { LocalPool } from '../scripts/local-pool.ts';
import { answerOf, ask, poolIsWhole, startPagePool, Tabs } from './pool-page.ts';

let pool: LocalPool;
let tabs: Tabs;
test.beforeAll(async () => {
  pool = await startPagePool([{ layers: '0-4' }, { layers: '4-8' }]);
});
test.afterAll(() => pool.stop());
test.beforeEach(({ browser }) => {
  tabs = new Tabs(browser, pool);
});
test.afterEach(() => tabs.close());

/** Files of models that are asked for over HTTP. */
function modelFiles(context: BrowserContext): string[] {
  const files: string[] = [];
  context.on('request', (request) => {
    const [, file] = /\/models\/[0-9a-f]{64}\/(.+)$/.exec(request.url()) ?? [];
    if (file !== undefined) files.push(file);
  });
  return files;
}

test('a reload fetches no end of the model again, and the page shows what is kept', async () => {
  const page = await tabs.open('?backend=wasm');
  const files = modelFiles(page.context());
  await poolIsWhole(page);
  await ask(page, 'What is the capital of France?');
  const first = await answerOf(page);
  expect(files).toEqual(expect.arrayContaining(['embedding.bin', 'head.bin', 'tokenizer.json']));

  files.length = 0;
  await page.reload();
  await poolIsWhole(page);
  await page.getByRole('button', { name: 'New conversation' }).click();
  await ask(page, 'What is the capital of France?');
  expect(await answerOf(page)).toBe(first);
  expect(files.filter((file) => file !== 'manifest.cbor')).toEqual([]);

  await page
    .getByRole('link', { name: 'Donate' })
    .or(page.getByRole('tab', { name: 'Donate' }))
    .first()
    .click();
  await expect(page.getByTestId('model-weights')).toHaveCount(1);
  await expect(page.getByTestId('piece-map')).toHaveAccessibleName(
    /^The pieces of demo: \d+ here, \d+ not needed here\.$/,
  );
});
