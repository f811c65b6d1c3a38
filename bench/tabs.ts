/**
 * `npm run bench -- tabs [--tabs 2,4] [--rounds N] [--host ADDRESS] [--browser PATH]… [--delay-ms MS]`: the demo model over
 * real tabs, and what a hop adds to a bare data channel between the same tabs, measured in turns.
 *
 * The chat has a tab of its own. With one `--browser` a tab (the chat's first) and `--host` for the relay, tabs can stand
 * on different hosts. A hop's own cost is what remains of a step when the stages' computing (as each stage measures
 * it around its runner, worker included) and half a raw round trip a link are taken away, spread over the links.
 */
import { parseArgs } from 'node:util';
import { chromium, type Browser, type Page } from '@playwright/test';
import type { AnswerEvent, Peer } from '@unfed/client';
import { chromiumFlags } from '../scripts/chromium-flags.ts';
import { findChromium } from '../scripts/find-chromium.ts';
import { startLocalPool } from '../scripts/local-pool.ts';
import { prepare } from '../scripts/prepare.ts';
import { median } from './measure.ts';
import { openRawChannel, rawRoundTripsMs } from './raw-channel.ts';

const layers = 8;
const question = 'Tell me a story about a fox.';
/** A step of one position of the demo model in float32: header and 192 numbers, with the link's length before them. */
const stepBytes = 4 + 32 + 192 * 4;
const pingsPerRound = 40;

interface Options {
  readonly tabs: readonly number[];
  readonly rounds: number;
  readonly host: string | undefined;
  readonly browsers: readonly string[];
  readonly delayMs: number | undefined;
}

interface TabResult {
  readonly msPerToken: number;
  readonly computeMs: number;
  readonly rawRoundTripMs: number;
  readonly addedMsPerHop: number;
  /** ms/token over links × one-way delay + computing. */
  readonly floorRatio: number;
}

interface PeerWindow {
  readonly unfed: { readonly peer: Peer };
}

export async function bench(args: readonly string[]): Promise<object> {
  const options = readOptions(args);
  const abort = new AbortController();
  const [found, prepared] = await Promise.all([findChromium(abort.signal), prepare()]);
  const pool = await startLocalPool({ ...prepared, host: options.host, signal: abort.signal });
  try {
    const results: Record<string, TabResult> = {};
    for (const count of options.tabs) {
      const paths = Array.from({ length: count + 1 }, (_, i) => options.browsers[i] ?? found);
      results[count] = await measureTabs(pool.url, { paths, options });
    }
    const last = results[options.tabs[options.tabs.length - 1]];
    return {
      msPerToken: Object.fromEntries(Object.entries(results).map(([count, { msPerToken }]) => [count, msPerToken])),
      addedMsPerHop: last.addedMsPerHop,
      ...(options.host === undefined ? {} : { floorRatio: last.floorRatio }),
      byTabs: results,
    };
  } finally {
    await pool.stop();
  }
}

function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      tabs: { type: 'string', default: '2,4' },
      rounds: { type: 'string', default: '7' },
      host: { type: 'string' },
      browser: { type: 'string', multiple: true, default: [] },
      'delay-ms': { type: 'string' },
    },
  });
  const asked = values.tabs.split(',').map(Number);
  const tabs = values.browser.length === 0 ? asked : asked.filter((count) => count < values.browser.length);
  if (tabs.length === 0)
    throw new Error(`expected a --browser for the chat and for every tab, came ${values.browser.length}`);
  const delayMs = values['delay-ms'];
  return {
    tabs,
    rounds: Number(values.rounds),
    host: values.host,
    browsers: values.browser,
    delayMs: delayMs === undefined ? undefined : Number(delayMs),
  };
}

async function measureTabs(
  url: string,
  { paths, options }: { paths: readonly string[]; options: Options },
): Promise<TabResult> {
  const browsers: Browser[] = [];
  try {
    // Each path once: without hosts of their own, tabs are contexts of one browser.
    const launched = new Map<string, Browser>();
    for (const path of paths) {
      if (launched.has(path)) continue;
      const browser = await chromium.launch({ executablePath: path, args: flags(url) });
      browsers.push(browser);
      launched.set(path, browser);
    }
    const pages: Page[] = [];
    for (const [i, path] of paths.entries()) {
      const context = await launched.get(path)?.newContext();
      if (context === undefined) throw new Error(`expected a browser for ${path}, came none`);
      const page = await context.newPage();
      page.setDefaultTimeout(120_000);
      await page.goto(
        i === 0 ? `${url}/?backend=wasm` : `${url}/?tab=donate&backend=wasm&donate=${spanOf(i - 1, paths.length - 1)}`,
      );
      if (i > 0)
        await page.waitForFunction(
          () => (window as unknown as PeerWindow).unfed?.peer.donation.state.kind === 'serving',
        );
      pages.push(page);
    }
    const [chat, ...stages] = pages;
    return await measure(chat, stages, options);
  } finally {
    await Promise.all(browsers.map((browser) => browser.close()));
  }
}

function flags(url: string): string[] {
  return [
    ...chromiumFlags(),
    `--unsafely-treat-insecure-origin-as-secure=${url}`,
    '--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks',
  ];
}

function spanOf(index: number, count: number): string {
  return `${Math.floor((index * layers) / count)}-${Math.floor(((index + 1) * layers) / count)}`;
}

async function measure(chat: Page, stages: readonly Page[], { rounds, delayMs }: Options): Promise<TabResult> {
  await chat.waitForFunction(() => {
    const [pool] = (window as unknown as PeerWindow).unfed?.peer.network.pools ?? [];
    return pool !== undefined && pool.layers > 0 && pool.coverage.every((count) => count > 0);
  });
  await openRawChannel(chat, stages[0]);
  await answer(chat);
  const measured = {
    token: [] as number[],
    route: [] as number[],
    compute: [] as number[],
    ends: [] as number[],
    raw: [] as number[],
  };
  for (let round = 0; round < rounds; round++) {
    const before = await Promise.all(stages.map(decodeTotals));
    const end = await answer(chat);
    const after = await Promise.all(stages.map(decodeTotals));
    measured.token.push(1000 / end.tokensPerSecond);
    measured.route.push(end.routeMsPerToken);
    measured.ends.push(end.endsMsPerToken);
    measured.compute.push(
      after.reduce((sum, { ms, steps }, i) => sum + (ms - before[i].ms) / (steps - before[i].steps), 0),
    );
    measured.raw.push(median(await rawRoundTripsMs(chat, { bytes: stepBytes, count: pingsPerRound })));
  }
  const links = stages.length + 1;
  const stagesMs = median(measured.compute);
  const rawMs = median(measured.raw);
  const added = measured.route.map((routeMs, i) => (routeMs - measured.compute[i]) / links - measured.raw[i] / 2);
  const computeMs = stagesMs + median(measured.ends);
  return {
    msPerToken: median(measured.token),
    computeMs,
    rawRoundTripMs: rawMs,
    addedMsPerHop: median(added),
    floorRatio: median(measured.token) / (links * (delayMs ?? rawMs / 2) + computeMs),
  };
}

function decodeTotals(page: Page): Promise<{ ms: number; steps: number }> {
  return page.evaluate(() => {
    const { state } = (window as unknown as PeerWindow).unfed.peer.donation;
    return state.kind === 'serving' ? { ms: state.decodeMs, steps: state.decodeSteps } : { ms: 0, steps: 0 };
  });
}

type AnswerEnd = Extract<AnswerEvent, { kind: 'end' }>;

/** The whole answer to the same question, in a turn of its own. */
async function answer(chat: Page): Promise<AnswerEnd> {
  const end = await chat.evaluate(async (content): Promise<AnswerEvent | undefined> => {
    const { peer } = (window as unknown as PeerWindow).unfed;
    const model = await peer.openChat(peer.network.pools[0].manifest);
    let last: AnswerEvent | undefined;
    for await (const event of model.answer([{ role: 'user', content }])) last = event;
    return last;
  }, question);
  if (end?.kind !== 'end') throw new Error(`expected an answer that ends, came ${end?.kind ?? 'nothing'}`);
  return end;
}
