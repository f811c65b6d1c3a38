/** Makes the stores of one page. */
import type { Page } from './page.ts';
import { ChatSession } from './state/chat-session.ts';
import { Connection } from './state/connection.ts';
import { DonationControl } from './state/donation-control.ts';
import { SettingsStore } from './state/settings.ts';
import { openStorage } from './state/storage.ts';
import { readUrlOptions } from './state/url-options.ts';

export const modelsUrl = '/models';

/** @param address the page's own */
export function createPage(address: Pick<Location, 'search' | 'hostname'>): Page {
  const storage = openStorage();
  const settings = new SettingsStore(storage);
  const connection = new Connection();
  const options = readUrlOptions(address);
  const session = new ChatSession({
    connection,
    settings,
    storage,
    nowMs: () => performance.now(),
    bytesToAsk: async (manifest, signal) => {
      try {
        const { endsBytes } = await import('./state/model-size.ts');
        const runtime = options.backend === 'wasm' || !('gpu' in navigator) ? 'wasm' : 'webgpu';
        return (await endsBytes(modelsUrl, manifest, signal)) + __RUNTIME_BYTES__[runtime];
      } catch {
        signal.throwIfAborted();
        return undefined;
      }
    },
  });
  addEventListener('pagehide', () => session.store());
  return { connection, settings, session, options, donation: new DonationControl({ connection, settings, options }) };
}
