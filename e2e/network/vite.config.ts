/** The page of e2e/network.spec.ts: packages/network alone, without the app. */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: here('.'),
  configFile: false,
  logLevel: 'warn',
  build: { outDir: here('../../build/e2e-network'), emptyOutDir: true, target: 'esnext', chunkSizeWarningLimit: 2048 },
  preview: { host: '127.0.0.1', port: 0 },
});
