/** Browser flows, in e2e/. Each spec starts its own relay and volunteers; `npm test` finds the Chromium beforehand. */
import { defineConfig } from '@playwright/test';
import { chromiumFlags } from './scripts/chromium-flags.ts';
import { findInstalledChromium } from './scripts/find-chromium.ts';

const executablePath = findInstalledChromium();

export default defineConfig({
  testDir: 'e2e',
  outputDir: 'test-results',
  workers: 1,
  retries: 0,
  forbidOnly: true,
  timeout: 180_000,
  expect: { timeout: 30_000 },
  reporter: process.env['PLAYWRIGHT_JSON_OUTPUT_FILE'] === undefined ? 'list' : [['list'], ['json']],
  use: {
    browserName: 'chromium',
    headless: true,
    trace: 'retain-on-failure',
    screenshot: 'only-on-failure',
    launchOptions: {
      args: chromiumFlags(),
      ...(executablePath === undefined ? {} : { executablePath }),
    },
  },
});
