/**
 * `npm run bench -- first-answer`: what a newcomer waits. Clones this repository's last commit into an empty folder, runs
 * the README's first command there, opens the page in a headless tab and asks; until the first text shows.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium, type Page } from '@playwright/test';
import { UnfedError } from '@unfed/protocol';
import { repository } from '../scripts/child.ts';
import { chromiumFlags } from '../scripts/chromium-flags.ts';
import { findChromium } from '../scripts/find-chromium.ts';
import { freePort } from '../scripts/free-port.ts';

const timeoutMs = 10 * 60_000;

export interface FirstAnswer {
  readonly installSeconds: number;
  /** Building the page and the demo model's shards. */
  readonly buildSeconds: number;
  /** From there until the relay answers and every volunteer serves. */
  readonly poolSeconds: number;
  /** From opening the page to the first text of the answer. */
  readonly firstTextSeconds: number;
  readonly allSeconds: number;
}

class CommandFailedError extends UnfedError {
  readonly code = 'command-failed';

  constructor(command: string, lines: readonly string[]) {
    super(`${command} ended before it said what was waited for; its last lines: ${lines.slice(-5).join(' / ')}`);
  }
}

export async function bench(): Promise<FirstAnswer> {
  const signal = AbortSignal.timeout(timeoutMs);
  const executablePath = await findChromium(signal);
  const folder = mkdtempSync(join(tmpdir(), 'unfed-first-answer-'));
  const port = await freePort(0);
  let tool: ChildProcess | undefined;
  try {
    execFileSync('git', ['clone', '-q', '--depth', '1', `file://${repository}`, folder]);
    const beganMs = performance.now();
    execFileSync('npm', ['ci'], { cwd: folder, stdio: ['ignore', 2, 2] });
    const installedMs = performance.now();
    tool = spawn('npm', ['start'], {
      cwd: folder,
      env: { ...process.env, PORT: String(port) },
      stdio: ['ignore', 'pipe', 2],
      detached: true,
    });
    const heard = listen(tool);
    await heard(/^Starting/);
    const builtMs = performance.now();
    await heard(/^Open/);
    const readyMs = performance.now();
    const browser = await chromium.launch({ executablePath, args: chromiumFlags() });
    await firstText(await browser.newPage({ baseURL: `http://localhost:${port}` }));
    const answeredMs = performance.now();
    await browser.close();
    return {
      installSeconds: (installedMs - beganMs) / 1000,
      buildSeconds: (builtMs - installedMs) / 1000,
      poolSeconds: (readyMs - builtMs) / 1000,
      firstTextSeconds: (answeredMs - readyMs) / 1000,
      allSeconds: (answeredMs - beganMs) / 1000,
    };
  } finally {
    if (tool !== undefined) await end(tool);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @returns waits for the first line of its output that matches, also one that has come already */
function listen(tool: ChildProcess): (pattern: RegExp) => Promise<void> {
  const lines: string[] = [];
  let check: () => void = () => undefined;
  if (tool.stdout !== null) createInterface({ input: tool.stdout }).on('line', (line) => (lines.push(line), check()));
  return (pattern) =>
    new Promise((resolve, reject) => {
      check = () => (lines.some((line) => pattern.test(line)) ? resolve() : undefined);
      tool.once('close', () => reject(new CommandFailedError('npm start', lines)));
      check();
    });
}

async function firstText(page: Page): Promise<void> {
  page.setDefaultTimeout(timeoutMs);
  await page.goto('/');
  await page.getByTestId('prompt').fill('What is the capital of France?');
  await page.getByTestId('send').click();
  const consent = page.getByTestId('consent');
  const answer = page.getByTestId('answer').last().getByText(/The/);
  await consent.or(answer).first().waitFor();
  if (await consent.isVisible()) await consent.click();
  await answer.first().waitFor();
}

/** Ctrl-C, as it reaches all that a terminal started. */
async function end(tool: ChildProcess): Promise<void> {
  if (tool.exitCode !== null || tool.pid === undefined) return;
  const closed = new Promise((resolve) => tool.once('close', resolve));
  process.kill(-tool.pid, 'SIGINT');
  await closed;
}
