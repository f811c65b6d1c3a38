/**
 * `npm run demo [-- --backend wasm|webgpu] [--ask TEXT]`: the whole thing in a headless browser. Three tabs lend layers,
 * a fourth asks, and the answer is printed as it streams, with the route it took and its speed.
 */
import { parseArgs } from 'node:util';
import { chromium, type Browser, type Page } from '@playwright/test';
import { errorText, InvalidValueError, spanText } from '@unfed/protocol';
import { chromiumFlags } from './chromium-flags.ts';
import { findChromium } from './find-chromium.ts';
import * as limits from './limits.ts';
import { startLocalPool, type LocalPool } from './local-pool.ts';
import { onParentGone } from './parent.ts';
import { prepare } from './prepare.ts';

const spans = ['0-3', '3-6', '6-8'];
const usage = 'npm run demo [-- --backend wasm|webgpu] [--ask TEXT]';

interface DemoOptions {
  readonly backend: 'wasm' | 'webgpu';
  readonly question: string;
}

/** @throws InvalidValueError; TypeError of node:util for flags that do not exist */
function readOptions(args: readonly string[]): DemoOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      backend: { type: 'string', default: 'wasm' },
      ask: { type: 'string', default: 'What is the capital of France?' },
    },
  });
  const { backend, ask } = values;
  if (backend !== 'wasm' && backend !== 'webgpu') {
    throw new InvalidValueError('--backend', `wasm or webgpu (${usage})`, backend);
  }
  return { backend, question: ask };
}

async function demo({ backend, question }: DemoOptions, signal: AbortSignal): Promise<void> {
  const [executablePath, { webRoot, modelsDir }] = await Promise.all([findChromium(signal), prepare()]);
  let pool: LocalPool | undefined;
  let browser: Browser | undefined;
  try {
    pool = await startLocalPool({ webRoot, modelsDir, signal });
    browser = await chromium.launch({
      executablePath,
      args: chromiumFlags(),
      handleSIGINT: false,
      handleSIGTERM: false,
    });
    const closeAtOnce = browser.close.bind(browser);
    signal.addEventListener('abort', () => void closeAtOnce());
    console.log(`A relay at ${pool.url}; ${spans.length} tabs lend their layers on ${backend}:`);
    for (const span of spans)
      console.log(`  ${await volunteer(browser, `${pool.url}/?tab=donate&donate=${span}&backend=${backend}`)}`);
    console.log(`A fourth tab asks: ${question}\n`);
    await ask(await openTab(browser, pool.url), question);
  } finally {
    await browser?.close();
    await pool?.stop();
  }
}

/** A tab of its own context shares nothing with the others but the network. */
async function openTab(browser: Browser, url: string): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(limits.demoTimeoutMs);
  await page.goto(url);
  return page;
}

/** @returns what the page says it serves, once it does. @throws with what the page says when it does not come to that */
async function volunteer(browser: Browser, url: string): Promise<string> {
  const page = await openTab(browser, url);
  try {
    await page.waitForFunction(() => {
      const kind = window.unfed?.peer.donation.state.kind;
      return kind === 'serving' || kind === 'failed';
    });
  } catch (cause) {
    const said = await page.getByTestId('donation-state').innerText();
    throw new Error(`a tab does not serve; it says: ${oneLine(said)} (${oneLine(errorText(cause))})`, { cause });
  }
  const donation = await page.evaluate(() => window.unfed?.peer.donation.state);
  if (donation?.kind !== 'serving') {
    throw new Error(`a tab cannot serve; it says: ${oneLine(await page.getByTestId('donation-state').innerText())}`);
  }
  const { span, model, backend, stepsPerSecond } = donation;
  return `layers ${spanText(span)} of ${model} on ${backend}, ${stepsPerSecond.toFixed(0)} steps/s`;
}

/** Asks as a person would, and prints what the page shows. */
async function ask(page: Page, question: string): Promise<void> {
  let printed = '';
  await page.exposeFunction('unfedDemoText', (text: string) => {
    if (!text.startsWith(printed)) return;
    process.stdout.write(text.slice(printed.length));
    printed = text;
  });
  // Nothing in here may have a name: tsx marks named functions for Node, and the page does not know its mark.
  await page.evaluate(() => {
    new MutationObserver(() => {
      const answers = document.querySelectorAll('[data-testid="answer"]');
      const text = answers.item(answers.length - 1)?.textContent.trim() ?? '';
      if (text !== '') void window.unfedDemoText?.(text);
    }).observe(document.body, { childList: true, characterData: true, subtree: true });
  });
  await page.getByTestId('prompt').fill(question);
  await page.getByTestId('send').click();
  const consent = page.getByTestId('consent');
  const stats = page.getByTestId('answer-stats').last();
  const failure = page.getByTestId('error').first();
  await consent.or(stats).or(failure).first().waitFor();
  if (await consent.isVisible()) await consent.click();
  await stats.or(failure).first().waitFor();
  if (await failure.isVisible()) throw new Error(`the page says: ${await failure.innerText()}`);
  const answer = (await page.getByTestId('answer').last().innerText()).trim();
  process.stdout.write(answer.startsWith(printed) ? answer.slice(printed.length) : `\n${answer}`);
  console.log(`\n\n${oneLine(await stats.innerText())}`);
  const hops = await page.getByTestId('route').last().locator('li').allTextContents();
  console.log(`route: you → ${hops.map(oneLine).join(' → ')} → you`);
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

const abort = new AbortController();
const end = () => (abort.signal.aborted ? process.exit(130) : abort.abort(new Error('stopped')));
process.on('SIGINT', end);
process.on('SIGTERM', end);
onParentGone(end);
try {
  await demo(readOptions(process.argv.slice(2)), abort.signal);
} catch (error) {
  if (!abort.signal.aborted) console.error(errorText(error));
  process.exitCode = 1;
}
process.exit();
