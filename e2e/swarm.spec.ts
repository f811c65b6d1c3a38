/**
 * Weights from the swarm, in real tabs with a model of 263 MiB: each tab keeps a database of its own on disk, and all
 * share one browser, where it matters one with a profile that outlives it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test as base, type BrowserContext, type Page } from '@playwright/test';
import type { ModelFolder } from '@unfed/model/node';
import { layerShard, shardEntry, type Architecture, type Span } from '@unfed/protocol';
import { randomModelFolder } from '@unfed/testing/node';
import { startLocalPool, type LocalPool } from '../scripts/local-pool.ts';
import { startHarness } from './harness-server.ts';
import type { TabOptions } from './swarm/harness.ts';

const MiB = 1 << 20;
/** Chunks that may be fetched twice when a download is cut off: those that were not yet on disk. */
const chunksAgainMax = 12;
const all: Span = { first: 0, last: 4 };

/** Four layers of 65.8 MiB. */
const architecture: Architecture = {
  family: 'llama',
  layers: 4,
  width: 3072,
  ffnWidth: 9216,
  heads: 24,
  kvHeads: 24,
  headSize: 128,
  vocabulary: 512,
  contextLength: 512,
  normEpsilon: 1e-5,
  ropeTheta: 10_000,
  ropeScaling: null,
  slidingWindow: null,
  qkvBias: false,
  outputBias: false,
  qkNorm: false,
  tiedEmbeddings: true,
};

interface Origin {
  readonly pool: LocalPool;
  readonly model: ModelFolder;
  readonly layersBytes: number;
}

const test = base.extend<{ newBrowser: () => Promise<BrowserContext> }, { origin: Origin }>({
  // The relay serves the harness as it serves the page, and the model as its only one.
  origin: [
    async ({ browserName }, use) => {
      expect(browserName).toBe('chromium');
      const harness = await startHarness('swarm');
      await harness.close();
      const modelsDir = await mkdtemp(join(tmpdir(), 'unfed-swarm-models-'));
      const model = await randomModelFolder(modelsDir, architecture, { seed: 3 });
      const layersBytes = [0, 1, 2, 3].reduce((sum, i) => sum + shardEntry(model.manifest, layerShard(i)).bytes, 0);
      expect(layersBytes).toBeGreaterThan(256 * MiB);
      const signal = new AbortController().signal;
      const pool = await startLocalPool({ modelsDir, webRoot: 'build/e2e/swarm', signal });
      await use({ pool, model, layersBytes });
      await pool.stop();
      await rm(modelsDir, { recursive: true, force: true });
    },
    { scope: 'worker', timeout: 180_000 },
  ],
  newBrowser: async ({ playwright, launchOptions }, use) => {
    const ends: (() => Promise<void>)[] = [];
    await use(async () => {
      const folder = await mkdtemp(join(tmpdir(), 'unfed-swarm-profile-'));
      const context = await playwright.chromium.launchPersistentContext(folder, { ...launchOptions, headless: true });
      ends.push(async () => {
        await context.close();
        await rm(folder, { recursive: true, force: true });
      });
      return context;
    });
    for (const end of ends) await end();
  },
});

/** What a tab asked the relay for of the model, by file name. */
const asked = new WeakMap<Page, string[]>();

async function openTab(context: BrowserContext, origin: Origin, options: TabOptions): Promise<Page> {
  const page = await context.newPage();
  const files: string[] = [];
  asked.set(page, files);
  page.on('request', (request) => {
    const { pathname } = new URL(request.url());
    if (pathname.startsWith('/models/')) files.push(pathname.split('/').at(-1) ?? '');
  });
  await start(page, origin, options);
  return page;
}

async function start(page: Page, { pool }: Origin, options: TabOptions): Promise<void> {
  await page.goto(pool.url);
  await page.waitForFunction(() => 'weightsTab' in window);
  await page.evaluate((it) => window.weightsTab.start(it), options);
}

const donate = (page: Page, span: Span = all): Promise<void> =>
  page.evaluate((it) => window.weightsTab.donate(it), span);

async function serving(page: Page): Promise<string> {
  await page.waitForFunction(() => ['serving', 'failed'].includes(window.weightsTab.state.kind), undefined, {
    timeout: 240_000,
  });
  const state = await page.evaluate(() => window.weightsTab.state);
  expect(state.error).toBe('');
  return state.span;
}

async function donateAll(page: Page): Promise<void> {
  await donate(page);
  expect(await serving(page)).toBe('0-4');
}

const uploaded = async (pages: readonly Page[]): Promise<number> => {
  const each = pages.map((page) => page.evaluate(() => window.weightsTab.peer.weights.view.uploadedBytes));
  return (await Promise.all(each)).reduce((sum, bytes) => sum + bytes, 0);
};

const layersAsked = (page: Page): string[] => (asked.get(page) ?? []).filter((name) => name.startsWith('layer-'));

/** Waits until half of the layers are held. */
const untilHalf = (page: Page): Promise<unknown> =>
  page.waitForFunction(() => {
    const [model] = window.weightsTab.peer.weights.view.models;
    return model !== undefined && model.wantedBytes > 0 && model.heldBytes > model.wantedBytes / 2;
  });

async function expectWhole(page: Page, { model }: Origin): Promise<void> {
  const { chunks, wrong } = await page.evaluate(() => window.weightsTab.check());
  expect({ chunks, wrong }).toEqual({ chunks: chunksOf(model), wrong: 0 });
}

const chunksOf = ({ manifest }: ModelFolder): number =>
  [0, 1, 2, 3].reduce((sum, i) => sum + shardEntry(manifest, layerShard(i)).chunks.length, 0);

/** Chunks that tabs with this store fetched and verified so far, as another tab was told. */
const verified = (witness: Page, name: string): Promise<number> =>
  witness.evaluate((it) => window.weightsTab.verified.get(it) ?? 0, name);

test.describe.configure({ mode: 'serial' });
test.setTimeout(400_000);

test.describe('three tabs that give', () => {
  let context: BrowserContext;
  let givers: Page[];
  let profile: string;

  test.beforeAll(async ({ playwright, origin }, testInfo) => {
    testInfo.setTimeout(400_000);
    const { launchOptions } = testInfo.project.use;
    profile = await mkdtemp(join(tmpdir(), 'unfed-swarm-profile-'));
    context = await playwright.chromium.launchPersistentContext(profile, { ...launchOptions, headless: true });
    givers = [await openTab(context, origin, { name: 'giver 0' })];
    await donateAll(givers[0]);
    for (const name of ['giver 1', 'giver 2']) {
      const page = await openTab(context, origin, { name });
      await donateAll(page);
      givers.push(page);
    }
  });

  /** A download that was cut off soon after `before` chunks fetched next to nothing twice. */
  async function expectFewAgain(name: string, before: number, { model }: Origin): Promise<void> {
    const total = chunksOf(model);
    expect(before).toBeGreaterThan(0);
    expect(before).toBeLessThan(total);
    const again = (await verified(givers[0], name)) - total;
    expect(again).toBeGreaterThanOrEqual(0);
    expect(again).toBeLessThanOrEqual(chunksAgainMax);
  }

  test.afterAll(async () => {
    await context.close();
    await rm(profile, { recursive: true, force: true });
  });

  test('the HTTP seed alone works: the first tab had nobody else', async ({ origin }) => {
    await expectWhole(givers[0], origin);
    expect(layersAsked(givers[0]).length).toBeGreaterThan(0);
    expect(await givers[0].evaluate(() => window.weightsTab.loadedBytes)).toBe(origin.layersBytes);
  });

  test('a fourth tab fetches from three others and asks the origin for the manifest only', async ({ origin }) => {
    const page = await openTab(context, origin, { name: 'fourth' });
    const before = await Promise.all(givers.map((giver) => uploaded([giver])));
    await donateAll(page);
    await expectWhole(page, origin);
    expect(new Set(asked.get(page))).toEqual(new Set(['manifest.cbor']));
    for (const [i, giver] of givers.entries()) expect(await uploaded([giver])).toBeGreaterThan(before[i]);
    await page.close();
  });

  test('a reload at half goes on from there', async ({ origin }) => {
    const page = await openTab(context, origin, { name: 'reloaded' });
    await donate(page);
    await untilHalf(page);
    const before = await verified(givers[0], 'reloaded');
    await start(page, origin, { name: 'reloaded' });
    await donateAll(page);
    await expectWhole(page, origin);
    await expectFewAgain('reloaded', before, origin);
    await page.close();
  });

  test('a tab that is killed at half leaves what the next one goes on from', async ({ origin }) => {
    const victim = await openTab(context, origin, { name: 'killed' });
    await donate(victim);
    await untilHalf(victim);
    const before = await verified(givers[0], 'killed');
    const crashed = victim.waitForEvent('crash');
    const devtools = await context.newCDPSession(victim);
    devtools.send('Page.crash').catch(() => 'the page that would answer is gone');
    await crashed;
    const page = await openTab(context, origin, { name: 'killed' });
    await donateAll(page);
    await expectWhole(page, origin);
    await expectFewAgain('killed', before, origin);
    await page.close();
  });

  test('a fourth seed that lies in a tenth of its chunks is banned, and no wrong byte is stored', async ({
    origin,
  }) => {
    const liar = await openTab(context, origin, { name: 'giver 0', liesEvery: 10 });
    await donate(liar);
    await liar.waitForFunction(() => window.weightsTab.peer.weights.view.models.some(({ heldBytes }) => heldBytes > 0));
    const page = await openTab(context, origin, { name: 'deceived' });
    await donateAll(page);
    await expectWhole(page, origin);
    expect(await page.evaluate(() => window.weightsTab.peer.weights.view.banned)).toBe(1);
    expect(await uploaded([liar])).toBeGreaterThan(0);
    await page.close();
    await liar.close();
  });

  test('two tabs of one browser share one store', async ({ origin }) => {
    const pages = [
      await openTab(context, origin, { name: 'shared' }),
      await openTab(context, origin, { name: 'shared' }),
    ];
    await Promise.all(pages.map(donateAll));
    for (const page of pages) await expectWhole(page, origin);
    const stored = await pages[0].evaluate(async () => (await window.weightsTab.store.models())[0]?.bytes ?? 0);
    for (const page of pages) {
      expect(await page.evaluate(() => window.weightsTab.store.usedBytes)).toBe(stored);
      expect(await page.evaluate(() => window.weightsTab.loadedBytes)).toBe(origin.layersBytes);
      await page.close();
    }
    expect(stored - origin.layersBytes).toBeLessThan(MiB);
  });
});

test('a cap on the disk serves the layers that fit, and the page is told so', async ({ origin, newBrowser }) => {
  const page = await openTab(await newBrowser(), origin, { name: 'capped', capBytes: 150 * MiB });
  await donate(page);
  expect(await serving(page)).toBe('0-2');
  const { note, usedBytes } = await page.evaluate(() => window.weightsTab.peer.weights.view);
  expect(note).toBe(
    'There is no room on the disk for layers 0–3: 0–1 are served instead. Allow more, or delete a model.',
  );
  expect(usedBytes).toBeLessThanOrEqual(150 * MiB);
});

test("the browser's quota serves fewer layers, and the tab goes on", async ({ origin, newBrowser }) => {
  const context = await newBrowser();
  const [first] = context.pages();
  const devtools = await context.newCDPSession(first);
  await devtools.send('Storage.overrideQuotaForOrigin', { origin: origin.pool.url, quotaSize: 150 * MiB });
  const page = await openTab(context, origin, { name: 'quota' });
  await donate(page);
  expect(await serving(page)).toMatch(/^0-[12]$/);
  expect(await page.evaluate(() => window.weightsTab.peer.weights.view.note)).toContain('There is no room on the disk');
  expect((await page.evaluate(() => window.weightsTab.check())).wrong).toBe(0);
});
