/** How the page is built: apps/web into build/web, with what onnxruntime-web and cross-origin isolation need. */
import { statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The page says how much it fetches before it asks; the runtime is the largest part of it. */
const bytesOf = (file: string) => statSync(createRequire(import.meta.url).resolve(`onnxruntime-web/${file}`)).size;
const runtimeBytes = {
  webgpu: bytesOf('ort-wasm-simd-threaded.asyncify.wasm'),
  wasm: bytesOf('ort-wasm-simd-threaded.wasm'),
};

/** WebAssembly threads need cross-origin isolation. */
const headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** The relay that the development server passes requests on to. */
const relay = process.env.UNFED_RELAY ?? 'http://127.0.0.1:8787';

export default defineConfig({
  root: here('apps/web'),
  publicDir: here('public'),
  plugins: [svelte()],
  define: { __RUNTIME_BYTES__: JSON.stringify(runtimeBytes) },
  worker: { format: 'es' },
  optimizeDeps: { exclude: ['onnxruntime-web'] },
  build: {
    outDir: here('build/web'),
    emptyOutDir: true,
    target: 'esnext',
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1024,
  },
  server: { headers, proxy: { '/relay.json': relay, '/models': relay } },
  preview: { headers },
});
