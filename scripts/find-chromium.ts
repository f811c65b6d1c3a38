/**
 * Finds a Chromium that runs: CHROME_PATH, the system's, Playwright's own; else tries to get one; else says what to do.
 * Everything it asks of the machine goes through `ChromiumProbes`, so that the order can be tested without browsers.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { chromium } from '@playwright/test';
import { errorText, InvalidValueError, UnfedError } from '@unfed/protocol';
import { isMain } from './is-main.ts';
import * as limits from './limits.ts';

export interface ChromiumProbes {
  readonly chromePath: string | undefined;
  /** Where `name` stands on the PATH or in its usual place. */
  which(name: string): string | undefined;
  playwrightPath(): string | undefined;
  /** Does `path --version` answer? A snap's stub, or a binary without its libraries, does not. */
  runs(path: string): boolean;
  canUseApt(): boolean;
  /** @returns whether the command ended well */
  install(command: readonly string[], signal: AbortSignal): Promise<boolean>;
}

export class NoChromiumError extends UnfedError {
  readonly code = 'no-chromium';

  constructor() {
    super(
      'No Chromium found and none could be installed: install Chromium or Google Chrome, or set CHROME_PATH to its executable.',
    );
  }
}

const systemNames = [
  'chromium',
  'chromium-browser',
  'google-chrome',
  'google-chrome-stable',
  'chrome',
  'microsoft-edge',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
];

/**
 * What is there already; nothing is downloaded.
 * @throws InvalidValueError when CHROME_PATH is set and does not run: a wrong setting is said, not passed over
 */
export function findInstalledChromium(probes: ChromiumProbes = machineProbes): string | undefined {
  if (probes.chromePath !== undefined && probes.chromePath !== '') {
    if (probes.runs(probes.chromePath)) return probes.chromePath;
    throw new InvalidValueError('CHROME_PATH', 'the path of a Chromium that runs', probes.chromePath);
  }
  const candidates = [...systemNames.map((name) => probes.which(name)), probes.playwrightPath()];
  return candidates.find((path) => path !== undefined && probes.runs(path));
}

/**
 * @returns the path of a Chromium that runs, installed if need be
 * @throws NoChromiumError, InvalidValueError
 */
export async function findChromium(signal: AbortSignal, probes: ChromiumProbes = machineProbes): Promise<string> {
  const installed = findInstalledChromium(probes);
  if (installed !== undefined) return installed;
  for (const command of waysToInstall(probes)) {
    await probes.install(command, signal);
    const found = findInstalledChromium(probes);
    if (found !== undefined) return found;
  }
  throw new NoChromiumError();
}

function waysToInstall(probes: ChromiumProbes): (readonly string[])[] {
  const playwright = [process.execPath, playwrightCli(), 'install', 'chromium'];
  const apt = ['sh', '-c', 'apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy chromium'];
  return probes.canUseApt() ? [playwright, apt] : [playwright];
}

function playwrightCli(): string {
  return join(dirname(createRequire(import.meta.url).resolve('@playwright/test/package.json')), 'cli.js');
}

export const machineProbes: ChromiumProbes = {
  chromePath: process.env['CHROME_PATH'],
  which(name) {
    if (name.includes('/') || name.includes('\\')) return existsSync(name) ? name : undefined;
    const folders = (process.env['PATH'] ?? '').split(delimiter);
    return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  },
  playwrightPath() {
    const path = chromium.executablePath();
    return existsSync(path) ? path : undefined;
  },
  runs(path) {
    return spawnSync(path, ['--version'], { stdio: 'ignore', timeout: limits.probeTimeoutMs }).status === 0;
  },
  canUseApt() {
    if (process.getuid?.() !== 0 || !existsSync('/etc/os-release')) return false;
    return /^ID(_LIKE)?=.*debian/m.test(readFileSync('/etc/os-release', 'utf8'));
  },
  install([program = '', ...args], signal) {
    console.error(`No Chromium found; trying: ${[program, ...args].join(' ')}`);
    const child = spawn(program, args, { stdio: ['ignore', 2, 2], signal, timeout: limits.installTimeoutMs });
    return new Promise((resolve) => {
      child.once('error', () => resolve(false));
      child.once('exit', (code) => resolve(code === 0));
    });
  },
};

if (isMain(import.meta)) {
  try {
    console.log(await findChromium(new AbortController().signal));
  } catch (error) {
    console.error(errorText(error));
    process.exitCode = 1;
  }
}
