/**
 * `npm run bench -- swarm-steps [--rounds 3] [--mib 64] [--tokens 60] [--host ADDRESS] [--browser PATH]…`: how long steps
 * of an answer take while weights pass over the same line, against the same steps without, in turns.
 *
 * Five tabs: the chat's, two stages of the demo model, and two volunteers that hold a large random model. With one `--browser`
 * a tab, in this order, and `--host` for the relay, each can stand on a host of its own. The line is shared in three ways:
 * the asking tab downloads the large model; it uploads it to another; and, unknown to a stage, a second tab on the stage's host
 * downloads. A step is from one token to the next: sent, computed by both stages, back, and sampled.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium, type Browser, type BrowserContext, type Page } from '@playwright/test';
import { ensureDemoModel } from '@unfed/model/node';
import type { Architecture, ManifestHash } from '@unfed/protocol';
import { randomModelFolder } from '@unfed/testing/node';
import { chromiumFlags } from '../scripts/chromium-flags.ts';
import { findChromium } from '../scripts/find-chromium.ts';
import { startLocalPool } from '../scripts/local-pool.ts';
import { prepare } from '../scripts/prepare.ts';
import * as tabs from './swarm-steps/tabs.ts';

const demoLayers = 8;
/** What has passed before steps are counted: the line is full by then. */
const headBytes = 2 << 20;
/** A layer of 7.2 MB; a model has as many as make it large enough. */
const layerShape: Omit<Architecture, 'layers'> = {
  family: 'llama',
  width: 1024,
  ffnWidth: 2816,
  heads: 16,
  kvHeads: 16,
  headSize: 64,
  vocabulary: 512,
  contextLength: 256,
  normEpsilon: 1e-5,
  ropeTheta: 10_000,
  ropeScaling: null,
  slidingWindow: null,
  qkvBias: false,
  outputBias: false,
  qkNorm: false,
  tiedEmbeddings: true,
};
const layerMiB = 6.9;
const lookMs = 200;

interface Options {
  readonly rounds: number;
  readonly mib: number;
  readonly tokens: number;
  readonly host: string | undefined;
  readonly browsers: readonly string[];
}

interface Models {
  readonly demo: ManifestHash;
  readonly large: ManifestHash;
  readonly layers: number;
}

interface Tabs {
  readonly chat: Page;
  readonly stages: readonly Page[];
  readonly holders: readonly Page[];
  /** On the first stage's host, beside it. */
  readonly neighbour: Page;
}

export async function bench(args: readonly string[]): Promise<object> {
  const options = readOptions(args);
  const signal = new AbortController().signal;
  const modelsDir = await mkdtemp(join(tmpdir(), 'unfed-bench-models-'));
  const browsers: Browser[] = [];
  const layers = Math.ceil(options.mib / layerMiB);
  const [found, { webRoot }] = await Promise.all([findChromium(signal), prepare()]);
  const demo = (await ensureDemoModel(modelsDir)).hash;
  const large = (await randomModelFolder(modelsDir, { ...layerShape, layers }, { seed: 1 })).hash;
  const pool = await startLocalPool({ webRoot, modelsDir, host: options.host, signal });
  try {
    const paths = Array.from({ length: 5 }, (_, i) => options.browsers[i] ?? found);
    const room = await openTabs(pool.url, paths, browsers);
    return await compare(room, { demo, large, layers }, options);
  } finally {
    await Promise.all(browsers.map((browser) => browser.close()));
    await pool.stop();
    await rm(modelsDir, { recursive: true, force: true });
  }
}

function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '3' },
      mib: { type: 'string', default: '64' },
      tokens: { type: 'string', default: '60' },
      host: { type: 'string' },
      browser: { type: 'string', multiple: true, default: [] },
    },
  });
  return {
    rounds: Number(values.rounds),
    mib: Number(values.mib),
    tokens: Number(values.tokens),
    host: values.host,
    browsers: values.browser,
  };
}

async function openTabs(url: string, paths: readonly string[], browsers: Browser[]): Promise<Tabs> {
  const contexts: BrowserContext[] = [];
  for (const executablePath of paths) {
    const args = [
      ...chromiumFlags(),
      `--unsafely-treat-insecure-origin-as-secure=${url}`,
      '--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks',
    ];
    const browser = await chromium.launch({ executablePath, args });
    browsers.push(browser);
    contexts.push(await browser.newContext());
  }
  const beside = await browsers[1]?.newContext();
  if (beside !== undefined) contexts.push(beside);
  const pages = await Promise.all(contexts.map((context) => context.newPage()));
  const [chat, first, second, ...others] = pages;
  const neighbour = others.pop();
  if (chat === undefined || first === undefined || second === undefined || neighbour === undefined)
    throw new Error(`expected six tabs, came ${pages.length}`);
  for (const page of pages) await tabs.open(page, url);
  return { chat, stages: [first, second], holders: others, neighbour };
}

async function compare(room: Tabs, models: Models, options: Options): Promise<object> {
  const { chat, stages, holders, neighbour } = room;
  const { demo, large, layers } = models;
  const whole = { first: 0, last: layers };
  for (const [i, stage] of stages.entries()) {
    const half = demoLayers / 2;
    await tabs.donate(stage, demo, { first: i * half, last: (i + 1) * half });
    await tabs.untilServing(stage);
  }
  for (const holder of holders) {
    await tabs.donate(holder, large, whole);
    await tabs.untilServing(holder);
  }
  await tabs.untilCovered(chat, demo);
  await tabs.steps(chat, demo, options.tokens);
  const share = (downloader: Page, name: string) => measure({ downloader, name, chat }, models, options);
  const downloading = await share(chat, 'downloading');
  const beside = await share(neighbour, 'beside');
  // Now the asking tab is the one that gives.
  await tabs.donate(chat, large, whole);
  await tabs.untilServing(chat);
  for (const holder of holders) await tabs.forget(holder, large);
  const [taker] = holders;
  if (taker === undefined) throw new Error('expected a tab that takes, came none');
  const uploading = await share(taker, 'uploading');
  // What a tab beside a stage does cannot be known to the stage: told, and not held against it.
  return { p95Ratio: Math.max(downloading.p95Ratio, uploading.p95Ratio), downloading, uploading, beside };
}

interface Shared {
  /** Busy over idle. */
  readonly p95Ratio: number;
  readonly idleP50Ms: number;
  readonly idleP95Ms: number;
  readonly busyP50Ms: number;
  readonly busyP95Ms: number;
  /** Of the download, while steps passed. */
  readonly megabytesPerSecond: number;
}

async function measure(
  { downloader, name, chat }: { downloader: Page; name: string; chat: Page },
  { demo, large, layers }: Models,
  { rounds, tokens }: Options,
): Promise<Shared> {
  const [idle, busy]: [number[], number[]] = [[], []];
  let [bytes, seconds] = [0, 0];
  for (let round = 0; round < rounds; round++) {
    idle.push(...(await tabs.steps(chat, demo, tokens)).map(({ ms }) => ms));
    await tabs.donate(downloader, large, { first: 0, last: layers });
    await tabs.untilDownloaded(downloader, headBytes);
    const [startMs, before] = [Date.now(), await tabs.downloaded(downloader)];
    const whileSteps = watch(downloader);
    const passed = await tabs.steps(chat, demo, tokens);
    const { endMs, after } = await whileSteps();
    busy.push(...passed.filter(({ atMs }) => atMs < endMs).map(({ ms }) => ms));
    bytes += after - before.bytes;
    seconds += (endMs - startMs) / 1000;
    await tabs.forget(downloader, large);
  }
  const shared = {
    p95Ratio: percentile(busy, 0.95) / percentile(idle, 0.95),
    idleP50Ms: percentile(idle, 0.5),
    idleP95Ms: percentile(idle, 0.95),
    busyP50Ms: percentile(busy, 0.5),
    busyP95Ms: percentile(busy, 0.95),
    megabytesPerSecond: bytes / 1e6 / seconds,
  };
  console.error(
    name,
    Object.entries(shared)
      .map(([key, value]) => `${key} ${value.toFixed(2)}`)
      .join(', '),
  );
  return shared;
}

/** Looks how far a download is. @returns a call that says when it was made, or when the download ended before, and what had come */
function watch(page: Page): () => Promise<{ endMs: number; after: number }> {
  let isAsked = false;
  const watching = (async () => {
    for (;;) {
      const { bytes, isDone } = await tabs.downloaded(page);
      if (isDone || isAsked) return { endMs: Date.now(), after: bytes };
      await new Promise((resolve) => setTimeout(resolve, lookMs));
    }
  })();
  return () => {
    isAsked = true;
    return watching;
  };
}

function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];
  if (value === undefined) throw new Error('expected steps, came none');
  return value;
}
