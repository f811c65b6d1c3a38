/** Builds a test page as the app is built, and serves it: by default e2e/NAME/index.html with its harness.ts. */
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

export interface HarnessOptions {
  /** Where index.html lies, from the repository's root. */
  readonly root?: string;
  /** Served beside the page, from the repository's root; none when absent. */
  readonly publicDir?: string;
  /** The address to listen on. */
  readonly host?: string;
}

export async function startHarness(name: string, options: HarnessOptions = {}): Promise<HarnessServer> {
  const { root = `e2e/${name}`, publicDir, host = '127.0.0.1' } = options;
  const config: InlineConfig = {
    configFile: false,
    logLevel: 'error',
    root: `${repository}${root}`,
    publicDir: publicDir === undefined ? false : `${repository}${publicDir}`,
    worker: { format: 'es' },
    build: { target: 'esnext', assetsInlineLimit: 0, outDir: `${repository}build/${root}`, emptyOutDir: true },
    preview: { host, port: 0, headers },
  };
  await build(config);
  const server = await preview(config);
  const url = server.resolvedUrls?.local[0] ?? server.resolvedUrls?.network[0];
  if (url === undefined) throw new Error(`expected an address for the harness ${name}, came none`);
  return { url, close: () => server.close() };
}
