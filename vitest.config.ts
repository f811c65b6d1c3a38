/** Unit tests: everything named `*.test.ts`. Browser flows are Playwright's, in e2e/. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{packages,apps,scripts,bench}/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**', '**/build/**'],
    pool: 'forks',
    maxWorkers: 2,
    allowOnly: false,
    // Some tests run a model; on a busy machine that takes its time. A test waits for events, never for the clock.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
