/** One tab in a browser and a profile of its own, on disk: what it stores is written, unlike in an incognito context. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type BrowserContext, type Page } from '@playwright/test';
import { chromiumFlags } from '../scripts/chromium-flags.ts';

export interface BrowserTab {
  readonly page: Page;
  /** Forgets the highest memory so far. */
  resetPeak(): Promise<void>;
  /** MiB of memory that the tab's process held at most since then, everything included; undefined but on Linux. */
  peakMiB(): Promise<number | undefined>;
  close(): Promise<void>;
}

/** @param trustedOrigin counts as secure although it is no localhost */
export async function openBrowserTab(executablePath: string, trustedOrigin: string): Promise<BrowserTab> {
  const profile = mkdtempSync(join(tmpdir(), 'unfed-bench-profile-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    args: [
      ...chromiumFlags(),
      `--unsafely-treat-insecure-origin-as-secure=${trustedOrigin}`,
      '--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks,SpareRendererForSitePerProcess',
    ],
  });
  const [first] = context.pages();
  const page = first ?? (await context.newPage());
  page.setDefaultTimeout(120_000);
  return {
    page,
    async resetPeak() {
      const collector = await context.newCDPSession(page);
      await collector.send('HeapProfiler.collectGarbage');
      await collector.detach();
      if (process.platform === 'linux') writeFileSync(`/proc/${await rendererPid(context)}/clear_refs`, '5');
    },
    async peakMiB() {
      if (process.platform !== 'linux') return undefined;
      const status = readFileSync(`/proc/${await rendererPid(context)}/status`, 'utf8');
      return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
    },
    async close() {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

/** The browser has one page; of its renderers, the page's is the one that worked most. */
async function rendererPid(context: BrowserContext): Promise<number> {
  const session = await context.browser()?.newBrowserCDPSession();
  if (session === undefined) throw new Error('expected a browser behind its context, came none');
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  const renderers = processInfo.filter(({ type }) => type === 'renderer').sort((a, b) => b.cpuTime - a.cpuTime);
  const [busiest] = renderers;
  if (busiest === undefined) throw new Error('expected a renderer, came none');
  return busiest.id;
}
