/** Serves the engine's harness, with what onnxruntime-web needs of the page's own build. */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  cacheDir: fileURLToPath(new URL('../../build/vite-engine', import.meta.url)),
  worker: { format: 'es' },
  optimizeDeps: { exclude: ['onnxruntime-web'] },
  server: { headers, hmr: false, fs: { allow: [fileURLToPath(new URL('../..', import.meta.url))] } },
  preview: { headers },
  build: {
    target: 'esnext',
    assetsInlineLimit: 0,
    outDir: fileURLToPath(new URL('../../build/e2e-engine', import.meta.url)),
    emptyOutDir: true,
  },
});
