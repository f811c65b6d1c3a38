/** The order in which a Chromium is looked for, without any browser. */
import { expect, it } from 'vitest';
import { findChromium, findInstalledChromium, NoChromiumError, type ChromiumProbes } from './find-chromium.ts';

const signal = new AbortController().signal;

/** A machine on which the paths in `working` run, and where installing adds what `installs` says. */
function machine(working: string[], options: Partial<ChromiumProbes> & { installs?: Record<string, string> } = {}) {
  const tried: string[] = [];
  const probes: ChromiumProbes = {
    chromePath: undefined,
    which: (name) => [`/usr/bin/${name}`, `/opt/broken/${name}`].find((path) => working.includes(path)),
    playwrightPath: () => '/cache/playwright/chrome',
    runs: (path) => working.includes(path) && !path.includes('broken'),
    canUseApt: () => false,
    install: (command) => {
      const program = command.includes('-c') ? 'apt' : 'playwright';
      tried.push(program);
      const path = options.installs?.[program];
      if (path !== undefined) working.push(path);
      return Promise.resolve(path !== undefined);
    },
    ...options,
  };
  return { probes, tried };
}

it('CHROME_PATH comes before the system', () => {
  const { probes } = machine(['/usr/bin/chromium', '/my/chrome'], { chromePath: '/my/chrome' });
  expect(findInstalledChromium(probes)).toBe('/my/chrome');
});

it('a CHROME_PATH that does not run is an error, not passed over', () => {
  const { probes } = machine(['/usr/bin/chromium'], { chromePath: '/my/absent' });
  expect(() => findInstalledChromium(probes)).toThrow('CHROME_PATH: expected the path of a Chromium that runs');
});

it("the system's comes before Playwright's own", () => {
  const { probes, tried } = machine(['/cache/playwright/chrome', '/usr/bin/google-chrome']);
  expect(findInstalledChromium(probes)).toBe('/usr/bin/google-chrome');
  expect(tried).toEqual([]);
});

it('a stub that does not run is passed over', () => {
  const { probes } = machine(['/opt/broken/chromium-browser', '/cache/playwright/chrome']);
  expect(findInstalledChromium(probes)).toBe('/cache/playwright/chrome');
});

it("Playwright's download is tried first, and no package when it gave one", async () => {
  const { probes, tried } = machine([], {
    canUseApt: () => true,
    installs: { playwright: '/cache/playwright/chrome' },
  });
  expect(await findChromium(signal, probes)).toBe('/cache/playwright/chrome');
  expect(tried).toEqual(['playwright']);
});

it('on Debian as root the package is the second try', async () => {
  const { probes, tried } = machine([], { canUseApt: () => true, installs: { apt: '/usr/bin/chromium' } });
  expect(await findChromium(signal, probes)).toBe('/usr/bin/chromium');
  expect(tried).toEqual(['playwright', 'apt']);
});

it('elsewhere no package manager is touched, and one sentence says what to install', async () => {
  const { probes, tried } = machine([]);
  await expect(findChromium(signal, probes)).rejects.toThrow(NoChromiumError);
  await expect(findChromium(signal, probes)).rejects.toThrow('install Chromium or Google Chrome, or set CHROME_PATH');
  expect(tried).toEqual(['playwright', 'playwright']);
});
