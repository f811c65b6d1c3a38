/** Builds a test page as the app is built, and serves it: e2e/NAME/index.html with its harness.ts. */
import { fileURLToPath } from 'node:url';
import { build, preview, type InlineConfig } from 'vite';

export interface HarnessServer {
  readonly url: string;
  close(): Promise<void>;
}

const repository = fileURLToPath(new URL('..', import.meta.url));
/** What gives a page shared memory and fine timers, as the relay sends it too. */
const headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** @param publicDir served beside the page, from the repository's root; none when absent */
export async function startHarness(
  name: string,
  { publicDir }: { readonly publicDir?: string } = {},
): Promise<HarnessServer> {
  const config: InlineConfig = {
    configFile: false,
    logLevel: 'error',
    root: `${repository}e2e/${name}`,
    publicDir: publicDir === undefined ? false : `${repository}${publicDir}`,
    worker: { format: 'es' },
    build: { target: 'esnext', assetsInlineLimit: 0, outDir: `${repository}build/e2e/${name}`, emptyOutDir: true },
    preview: { host: '127.0.0.1', port: 0, headers },
  };
  await build(config);
  const server = await preview(config);
  const url = server.resolvedUrls?.local[0];
  if (url === undefined) throw new Error(`expected an address for the harness ${name}, came none`);
  return { url, close: () => server.close() };
}
