/** Chunk stores in real tabs, on disk in a profile of their own: what needs a browser, its quota and its crashes. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test as base, type BrowserContext, type Page } from '@playwright/test';
import { startHarness, type HarnessServer } from './harness-server.ts';

const MiB = 1 << 20;
const noCap = 1e12;

interface Profile {
  readonly folder: string;
  /** Ends the browser, if one runs, and starts it again on the same disk. */
  restart(): Promise<BrowserContext>;
}

const test = base.extend<{ profile: Profile }, { server: HarnessServer }>({
  server: [
    async ({ browserName }, use) => {
      expect(browserName).toBe('chromium');
      const server = await startHarness('store');
      await use(server);
      await server.close();
    },
    { scope: 'worker' },
  ],
  // Ordinary contexts are incognito: their storage is memory, with another quota.
  profile: async ({ playwright, launchOptions }, use) => {
    const folder = await mkdtemp(join(tmpdir(), 'unfed-profile-'));
    let context: BrowserContext | undefined;
    const restart = async (): Promise<BrowserContext> => {
      await context?.close();
      context = await playwright.chromium.launchPersistentContext(folder, { ...launchOptions, headless: true });
      return context;
    };
    await use({ folder, restart });
    await context?.close();
    await rm(folder, { recursive: true, force: true });
  },
});

async function openTab(context: BrowserContext, server: HarnessServer, capBytes = noCap): Promise<Page> {
  const page = await context.newPage();
  await page.goto(server.url);
  await page.waitForFunction(() => 'storeTab' in window);
  await page.evaluate((cap) => window.storeTab.open(cap), capBytes);
  return page;
}

const held = (page: Page): Promise<readonly number[]> => page.evaluate(() => window.storeTab.held());
const storedBytes = (page: Page): Promise<number> => page.evaluate(() => window.storeTab.storedBytes());
const putAll = (page: Page, first: number, last: number) =>
  page.evaluate((range) => window.storeTab.putAll(...range), [first, last] as const);
const count = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

test('IndexedDB does what every store must', async ({ profile, server }) => {
  const page = await openTab(await profile.restart(), server);
  const names = await page.evaluate(() => window.storeTab.caseNames());
  expect(names.length).toBeGreaterThan(12);
  for (const name of names) {
    await test.step(name, () => page.evaluate((it) => window.storeTab.runCase(it), name));
  }
});

test("over the browser's quota each put learns its own fate, nothing that was held goes, and it works again after", async ({
  profile,
  server,
}) => {
  const before = await openTab(await profile.restart(), server);
  expect(new Set(await putAll(before, 0, 3))).toEqual(new Set(['stored']));
  // A browser that has written lately trusts the room it saw then; one that was just started asks.
  const context = await profile.restart();
  const [first] = context.pages();
  const browser = await context.newCDPSession(first);
  const { origin } = new URL(server.url);
  await browser.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 9 * MiB });
  const page = await openTab(context, server);
  const fates = await putAll(page, 3, 23);
  expect(new Set(fates)).toEqual(new Set(['stored', 'full']));
  const stored = count(3, 23).filter((_, i) => fates[i] === 'stored');
  expect(await held(page)).toEqual([...count(0, 3), ...stored]);
  expect(await storedBytes(page)).toBe((3 + stored.length) * MiB);
  expect(await page.evaluate(() => window.storeTab.wrong())).toEqual([]);
  expect(await page.evaluate(() => window.storeTab.store.usedBytes)).toBe((3 + stored.length) * MiB);
  await browser.send('Storage.overrideQuotaForOrigin', { origin });
  expect(new Set(await putAll(page, 0, 23))).toEqual(new Set(['stored']));
  expect(await held(page)).toEqual(count(0, 23));
});

test('two tabs share one store: chunks of both, counted once, each told of what the other does', async ({
  profile,
  server,
}) => {
  const context = await profile.restart();
  const [a, b] = [await openTab(context, server), await openTab(context, server)];
  const fates = await Promise.all([putAll(a, 0, 24), putAll(b, 8, 32)]);
  expect(new Set(fates.flat())).toEqual(new Set(['stored']));
  for (const tab of [a, b]) {
    expect(await held(tab)).toEqual(count(0, 32));
    expect(await storedBytes(tab)).toBe(32 * MiB);
    await tab.waitForFunction((bytes) => window.storeTab.store.usedBytes === bytes, 32 * MiB);
    expect(await tab.evaluate(() => window.storeTab.changes.some(({ elsewhere }) => elsewhere))).toBe(true);
  }
  await a.evaluate(() => window.storeTab.drop());
  await b.waitForFunction(() => window.storeTab.changes.some(({ what }) => what === 'dropped'));
  expect([await held(b), await b.evaluate(() => window.storeTab.store.usedBytes)]).toEqual([[], 0]);
});

test('two tabs that write at once do not pass the cap together', async ({ profile, server }) => {
  const context = await profile.restart();
  const [a, b] = [await openTab(context, server, 20 * MiB), await openTab(context, server, 20 * MiB)];
  const fates = (await Promise.all([putAll(a, 0, 16), putAll(b, 16, 32)])).flat();
  expect(fates.filter((fate) => fate === 'stored')).toHaveLength(20);
  expect(await held(a)).toEqual(count(0, 32).filter((i) => fates[i] === 'stored'));
  expect(await storedBytes(b)).toBe(20 * MiB);
});

test('a tab killed between batches leaves whole chunks and a right count, and so does the end of the browser', async ({
  profile,
  server,
}) => {
  const victim = await openTab(await profile.restart(), server);
  const witness = await openTab(victim.context(), server);
  await victim.evaluate(() => window.storeTab.putForever(400));
  await witness.waitForFunction(() => window.storeTab.store.usedBytes >= 16 << 20);
  const crashed = victim.waitForEvent('crash');
  const browser = await victim.context().newCDPSession(victim);
  browser.send('Page.crash').catch(() => 'the page that would answer is gone');
  await crashed;

  const left = await held(witness);
  expect(left.length).toBeGreaterThanOrEqual(16);
  expect(left.length).toBeLessThan(400);
  expect(await witness.evaluate(() => window.storeTab.wrong())).toEqual([]);
  expect(await storedBytes(witness)).toBe(left.length * MiB);

  const next = await openTab(await profile.restart(), server);
  expect(await held(next)).toEqual(left);
  expect(await next.evaluate(() => window.storeTab.wrong())).toEqual([]);
  expect(await next.evaluate(() => window.storeTab.store.usedBytes)).toBe(left.length * MiB);
  expect(new Set(await putAll(next, left.length, left.length + 9))).toEqual(new Set(['stored']));
});

test('what the disk lost is asked for again: chunks without their files are dropped, the others stay', async ({
  profile,
  server,
}) => {
  const before = await openTab(await profile.restart(), server);
  await putAll(before, 0, 8);
  await before.context().close();
  const files = await readdir(profile.folder, { recursive: true });
  const blobs = files.filter((name) => /IndexedDB.*\.blob\/.*\/[0-9a-f]+$/.test(name)).sort();
  const lost = blobs.slice(-3);
  expect(lost).toHaveLength(3);
  for (const name of lost) await rm(join(profile.folder, name), { recursive: true });

  const page = await openTab(await profile.restart(), server);
  const missing = await page.evaluate(() => window.storeTab.wrong());
  expect(missing).toHaveLength(3);
  expect(await held(page)).toEqual(count(0, 8).filter((i) => !missing.includes(i)));
  expect(await page.evaluate(() => window.storeTab.store.usedBytes)).toBe(5 * MiB);
  expect(new Set(await putAll(page, 0, 8))).toEqual(new Set(['stored']));
  expect(await page.evaluate(() => window.storeTab.wrong())).toEqual([]);
});

test('a shard is put together one chunk at a time', async ({ profile, server }) => {
  const page = await openTab(await profile.restart(), server);
  await putAll(page, 0, 24);
  expect(await page.evaluate(() => window.storeTab.readsAtOnce(24))).toBe(1);
});

test('clearing the site while it is open costs the chunks, not the store', async ({ profile, server }) => {
  const context = await profile.restart();
  const page = await openTab(context, server);
  await putAll(page, 0, 4);
  const browser = await context.newCDPSession(page);
  await browser.send('Storage.clearDataForOrigin', { origin: new URL(server.url).origin, storageTypes: 'indexeddb' });
  expect(await held(page)).toEqual([]);
  expect(await putAll(page, 0, 2)).toEqual(['stored', 'stored']);
  expect([await held(page), await storedBytes(page)]).toEqual([[0, 1], 2 * MiB]);
});

test('the browser keeps the chunks where it was asked to, and says how much room there is', async ({
  profile,
  server,
}) => {
  const context = await profile.restart();
  const page = await openTab(context, server);
  const browser = await context.newCDPSession(page);
  const { origin } = new URL(server.url);
  await browser.send('Browser.setPermission', {
    origin,
    permission: { name: 'persistent-storage' },
    setting: 'denied',
  });
  expect(await page.evaluate(() => window.storeTab.keep())).toBe('best-effort');
  await browser.send('Browser.setPermission', {
    origin,
    permission: { name: 'persistent-storage' },
    setting: 'granted',
  });
  expect(await page.evaluate(() => window.storeTab.keep())).toBe('kept');
  expect(await page.evaluate(() => window.storeTab.quotaBytes())).toBeGreaterThan(100 * MiB);
});
