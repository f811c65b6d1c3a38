import type { DonationState, ModelWeightsView, WeightsView } from '@unfed/client/node';
import { manifestHash } from '@unfed/protocol';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { showProgress } from './progress-line.ts';

const model: ModelWeightsView = {
  manifest: manifestHash('ab'.repeat(32)),
  name: 'demo',
  heldBytes: 32 << 20,
  wantedBytes: 64 << 20,
  storedBytes: 32 << 20,
  bytesPerSecond: 4 << 20,
  secondsLeft: 8,
  peers: 2,
  seed: true,
  paused: false,
  pieces: [],
};
const state: DonationState = {
  kind: 'downloading',
  span: { first: 0, last: 1 },
  bytes: 0,
  bytesTotal: 1,
};

function peerWith(models: readonly ModelWeightsView[]) {
  const view = { models } as WeightsView;
  return { weights: { view }, donation: { state } } as unknown as Parameters<typeof showProgress>[0];
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('the line of progress', () => {
  it('says how the download goes while there is one, and is cleared at the end', () => {
    let written = '';
    const terminal = { isTTY: true, columns: 120, write: (text: string) => (written += text) };
    const end = showProgress(peerWith([model]), terminal);
    vi.advanceTimersByTime(300);
    expect(written).toContain('50 %  32 MiB of 64 MiB  4.0 MiB/s  2 peers and the seed  8 s left');
    end();
    expect(written.endsWith('\r\x1b[K')).toBe(true);
  });

  it('is not written where nothing comes, nor where nobody watches', () => {
    let written = '';
    const write = (text: string) => (written += text);
    const ends = [
      showProgress(peerWith([]), { isTTY: true, write }),
      showProgress(peerWith([model]), { isTTY: false, write }),
    ];
    vi.advanceTimersByTime(1000);
    for (const end of ends) end();
    expect(written).toBe('');
  });
});
