/** The page by itself, over a scripted peer (apps/web/dev): what people see, hear and can reach in each of its states. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync } from 'node:zlib';
import AxeBuilder from '@axe-core/playwright';
import { expect, test, type Page } from '@playwright/test';
import { build, preview, type PreviewServer } from 'vite';
import { prepare } from '../scripts/prepare.ts';

const repository = fileURLToPath(new URL('..', import.meta.url));
const firstScriptBytesMax = 60_000;
const stylesBytesMax = 12_000;

let server: PreviewServer;
let origin: string;

test.beforeAll(async () => {
  test.setTimeout(180_000);
  const outDir = join(repository, 'build/e2e/page');
  const config = { configFile: join(repository, 'vite.config.ts'), logLevel: 'error' } as const;
  const input = join(repository, 'apps/web/dev/index.html');
  await build({ ...config, build: { outDir, emptyOutDir: true, rolldownOptions: { input } } });
  server = await preview({ ...config, build: { outDir }, preview: { host: '127.0.0.1', port: 0, proxy: {} } });
  origin = new URL(server.resolvedUrls?.local[0] ?? '').origin;
});

test.afterAll(() => server.close());

async function ask(page: Page): Promise<void> {
  await page.getByTestId('prompt').fill('What is the capital of France?');
  await page.getByTestId('prompt').press('Enter');
}

async function askAndAgree(page: Page): Promise<void> {
  await ask(page);
  await page.getByTestId('consent').click();
}

async function answered(page: Page): Promise<void> {
  await askAndAgree(page);
  await expect(page.getByTestId('answer-stats')).toBeVisible();
}

interface State {
  readonly script: string;
  readonly tab: string;
  readonly reach?: (page: Page) => Promise<void>;
}

const states: Readonly<Record<string, State>> = {
  'an empty chat': { script: 'whole', tab: 'chat' },
  'a question before the relay answers': {
    script: 'unreachable',
    tab: 'chat',
    reach: async (page) => {
      await ask(page);
      await expect(page.getByText('The relay does not answer yet')).toHaveCount(2);
    },
  },
  'a question that waits for consent': {
    script: 'whole',
    tab: 'chat',
    reach: async (page) => {
      await ask(page);
      await expect(page.getByTestId('consent')).toBeVisible();
    },
  },
  'an answer that streams': {
    script: 'holding',
    tab: 'chat',
    reach: async (page) => {
      await askAndAgree(page);
      await expect(page.getByTestId('answer')).toContainText('Paris');
    },
  },
  'an answer with its route': {
    script: 'whole',
    tab: 'chat',
    reach: async (page) => {
      await answered(page);
      await page.getByTestId('route').locator('summary').click();
    },
  },
  'an answer that broke off': {
    script: 'breaking',
    tab: 'chat',
    reach: async (page) => {
      await askAndAgree(page);
      await expect(page.getByTestId('error')).toBeVisible();
      await expect(page.getByTestId('answer')).toContainText('The capital of France');
    },
  },
  'a pool with a gap': {
    script: 'broken',
    tab: 'chat',
    reach: async (page) => {
      await askAndAgree(page);
      await expect(page.getByTestId('error')).toContainText('nobody serves layers 4–5 of demo');
      await page.getByTestId('pool-picker').click();
      await expect(page.getByText('Nobody serves layers 4–5', { exact: true })).toBeVisible();
    },
  },
  'a question that is too long': {
    script: 'short',
    tab: 'chat',
    reach: async (page) => {
      await answered(page);
      await page.getByTestId('prompt').fill('word '.repeat(60));
      await expect(page.getByTestId('too-long')).toBeVisible();
      await expect(page.getByTestId('send')).toBeDisabled();
    },
  },
  'the settings': {
    script: 'whole',
    tab: 'chat',
    reach: async (page) => {
      await page.getByTestId('settings-open').click();
      await expect(page.getByTestId('settings')).toBeVisible();
    },
  },
  'a donation that is off': {
    script: 'whole',
    tab: 'donate',
    reach: async (page) => {
      await page.getByText('Choose the layers by hand').click();
      await page.getByTestId('donate-first').fill('9');
      await expect(page.getByTestId('donate-start')).toBeDisabled();
    },
  },
  'a donation that prepares': { script: 'preparing', tab: 'donate' },
  'a donation that downloads': { script: 'downloading', tab: 'donate' },
  'a donation that serves': { script: 'serving', tab: 'donate' },
  'a download that is paused': {
    script: 'downloading',
    tab: 'donate',
    reach: async (page) => {
      await page.getByTestId('weights-pause').click();
      await expect(page.getByTestId('weights-line')).toContainText('paused');
    },
  },
  'a disk that is full': { script: 'full', tab: 'donate' },
  'a model that may be deleted': {
    script: 'serving',
    tab: 'donate',
    reach: async (page) => {
      await page.getByTestId('weights-delete').click();
      await expect(page.getByTestId('weights-dialog')).toBeVisible();
    },
  },
  'a donation that failed': { script: 'failed', tab: 'donate' },
  'a whole network': { script: 'whole', tab: 'network' },
  'a network without volunteers': { script: 'empty', tab: 'network' },
  'a network without its relay': { script: 'unreachable', tab: 'network' },
  privacy: { script: 'whole', tab: 'privacy' },
};

const screens = {
  'a light desktop': { viewport: { width: 1280, height: 800 }, colorScheme: 'light' },
  'a dark phone': { viewport: { width: 390, height: 844 }, colorScheme: 'dark', hasTouch: true, isMobile: true },
} as const;

for (const [screen, options] of Object.entries(screens)) {
  test.describe(`on ${screen}`, () => {
    test.use(options);
    for (const [name, { script, tab, reach }] of Object.entries(states)) {
      test(`${name} has nothing that axe objects to, and fits the width`, async ({ page }) => {
        await page.goto(`${origin}/dev/index.html?script=${script}&tab=${tab}`);
        await expect(page.getByTestId('tabs')).toBeVisible();
        await reach?.(page);
        const { violations } = await new AxeBuilder({ page }).analyze();
        expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html ?? ''}`)).toEqual([]);
        const beyond = await page.evaluate(() => {
          const { scrollWidth, clientWidth } = document.documentElement;
          return scrollWidth - clientWidth;
        });
        expect(beyond).toBeLessThanOrEqual(0);
      });
    }
  });
}

test('a picture or HTML in an answer loads nothing and becomes no element', async ({ page }) => {
  const hosts = new Set<string>();
  page.on('request', (request) => hosts.add(new URL(request.url()).host));
  await page.goto(`${origin}/dev/index.html`);
  await answered(page);
  const answer = page.getByTestId('answer');
  await expect(answer).toContainText('<b>HTML</b>');
  await expect(answer.locator('img, script, b, iframe')).toHaveCount(0);
  await expect(answer.locator('a')).toHaveAttribute('rel', /noreferrer/);
  expect([...hosts]).toEqual([new URL(origin).host]);
});

test('a screen reader hears that the answer is under way, then the whole answer once', async ({ page }) => {
  await page.goto(`${origin}/dev/index.html`);
  await page.evaluate(() => {
    const heard: string[] = [];
    Object.assign(window, { heard });
    const region = document.querySelector('[role=status]');
    if (region === null) throw new Error('expected a region that is read out, came none');
    const listen = () => heard.push(region.textContent.trim());
    new MutationObserver(listen).observe(region, { childList: true, characterData: true, subtree: true });
  });
  await answered(page);
  const heard = await page.evaluate(() => (window as unknown as { heard: string[] }).heard);
  expect(heard.filter((text) => text === 'Answering')).toHaveLength(1);
  expect(heard.filter((text) => text.includes('Paris'))).toHaveLength(1);
  expect(heard.at(-1)).toContain('is shown as text.');
});

test('the pieces of a model are a picture that words say too; deleting them is asked first', async ({ page }) => {
  await page.goto(`${origin}/dev/index.html?script=downloading&tab=donate`);
  const map = page.getByTestId('piece-map');
  const expected = /^The pieces of demo: \d+ here, \d+ coming, \d+ to be had, \d+ nobody has, 210 not needed here\.$/;
  await expect(map).toHaveAttribute('aria-label', expected);
  const drawn = await map.locator('canvas').evaluate((canvas) => {
    const { width, height } = canvas as HTMLCanvasElement;
    const pixels = (canvas as HTMLCanvasElement).getContext('2d')?.getImageData(0, 0, width, height).data;
    const colours = new Set<string>();
    for (let i = 0; i < (pixels?.length ?? 0); i += 4) colours.add(pixels?.slice(i, i + 4).join() ?? '');
    return colours.size;
  });
  expect(drawn).toBeGreaterThanOrEqual(5);
  await expect(page.getByTestId('weights-line')).toContainText('from 3 volunteers and the relay, 9 s left');
  await page.getByTestId('weights-delete').click();
  await page.getByRole('button', { name: 'Keep it' }).click();
  await expect(page.getByTestId('model-weights')).toBeVisible();
  await page.getByTestId('weights-delete').click();
  await page.getByTestId('weights-delete-confirm').click();
  await expect(page.getByTestId('model-weights')).toHaveCount(0);
});

test('the tabs are reached by arrow keys, and the address names the tab', async ({ page }) => {
  await page.goto(`${origin}/dev/index.html`);
  await page.getByTestId('tab-chat').focus();
  await page.keyboard.press('ArrowLeft');
  await expect(page.getByTestId('tab-privacy')).toBeFocused();
  await page.keyboard.press('Home');
  await page.keyboard.press('ArrowRight');
  await expect(page.getByTestId('tab-donate')).toHaveAttribute('aria-selected', 'true');
  await expect(page).toHaveURL(/tab=donate/);
});

test('a theme that was chosen holds, whatever the system says', async ({ page }) => {
  await page.emulateMedia({ colorScheme: 'light' });
  await page.goto(`${origin}/dev/index.html`);
  await page.getByTestId('settings-open').click();
  await page.getByText('Dark', { exact: true }).click();
  await page.reload();
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
  await expect(page.locator('html')).toHaveCSS('color-scheme', 'dark');
});

test('the first script and the styles stay within their budgets', async () => {
  test.setTimeout(180_000);
  const { webRoot } = await prepare();
  if (webRoot === undefined) throw new Error('expected a built page, came none');
  const index = await readFile(join(webRoot, 'index.html'), 'utf8');
  const first = [...index.matchAll(/(?:src|href)="\/(assets\/[^"]+\.js)"/g)].map(([, file = '']) => file);
  const styles = (await readdir(join(webRoot, 'assets'))).filter((file) => file.endsWith('.css'));
  const compressed = async (files: readonly string[]) => {
    const contents = await Promise.all(files.map((file) => readFile(join(webRoot, file))));
    return contents.reduce((sum, content) => sum + brotliCompressSync(content).byteLength, 0);
  };
  expect(first.length).toBeGreaterThan(0);
  expect(await compressed(first)).toBeLessThanOrEqual(firstScriptBytesMax);
  expect(await compressed(styles.map((file) => `assets/${file}`))).toBeLessThanOrEqual(stylesBytesMax);
});
