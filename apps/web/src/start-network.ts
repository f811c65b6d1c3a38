/** Brings the page to its peer; libp2p and all that stands on it is loaded here, after the first paint. */
import { modelsUrl } from './create-page.ts';
import type { WeightCaps } from '@unfed/client';
import type { Page } from './page.ts';
import type { Settings } from './state/settings.ts';

/** Runs until the page ends. @param signal ends it */
export async function startNetwork(page: Page, signal: AbortSignal): Promise<void> {
  const { connection, donation, options, settings } = page;
  const peer = await connection.start(
    {
      relayInfo: async (onFailure, relaySignal) => {
        const { fetchRelayInfo } = await import('./state/relay-info.ts');
        const ask = (url: string, init: RequestInit) => fetch(url, init);
        const source = { fetch: ask, wait, onFailure, nowMs: () => Date.now() };
        return fetchRelayInfo(source, relaySignal);
      },
      createPeer: async (relay, peerSignal) => {
        const { createPeer } = await import('@unfed/client');
        return createPeer({
          relay,
          modelsUrl: new URL(modelsUrl, location.href).href,
          endsBackend: options.backend ?? 'auto',
          signal: peerSignal,
        });
      },
    },
    signal,
  );
  if (peer === undefined) return;
  window.unfed = { peer };
  const capWeights = () => peer.weights.setCaps(weightCaps(settings.view));
  capWeights();
  const unlisten = settings.onChange(capWeights);
  signal.addEventListener('abort', unlisten, { once: true });
  await donation.startFromAddress(signal);
}

function weightCaps({ storeMiB, uploadKiBPerSecond }: Settings): Required<WeightCaps> {
  const uploadBytesPerSecond = uploadKiBPerSecond === undefined ? Infinity : uploadKiBPerSecond * 1024;
  return { storeBytes: storeMiB * 2 ** 20, uploadBytesPerSecond };
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
