import { createHopKeys } from '@unfed/circuit';
import {
  bytesToHex,
  manifestHash,
  openAnnouncement,
  randomIdentity,
  type Announcement,
  type StageOffer,
} from '@unfed/protocol';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createAnnouncer, type Announcer } from './announcer.ts';
import * as limits from './limits.ts';

const hourMs = 3_600_000;
const manifest = manifestHash('ab'.repeat(32));
const offer: StageOffer = {
  manifest,
  span: { first: 0, last: 4 },
  stepsPerSecond: 10,
  queueLength: 0,
  backend: 'wasm',
};

/** What was announced last; null when nothing is. */
let announced: Announcement | null;
let announcer: Announcer;

function start(forward: boolean): void {
  const directory = {
    announce(envelope: Uint8Array | null) {
      announced = envelope === null ? null : openAnnouncement(envelope, Date.now());
    },
  };
  const network = { addresses: [], onChange: () => () => undefined, directory };
  const hopKeys = createHopKeys({ nowMs: Date.now });
  announcer = createAnnouncer(network, { identity: randomIdentity(), forward, operator: null, hopKeys });
  vi.advanceTimersByTime(limits.announceSoonestMs);
}

beforeEach(() => {
  vi.useFakeTimers();
  announced = null;
});
afterEach(() => {
  announcer.stop();
  vi.useRealTimers();
});

const keys = (): string[] => (announced?.hopKeys ?? []).map(bytesToHex);

describe('what a peer announces of circuits', () => {
  it('is a hop key while it forwards or serves, and none while it only exchanges chunks', () => {
    start(false);
    expect(announced).toBeNull();
    announcer.exchange([manifest]);
    vi.advanceTimersByTime(limits.announceSoonestMs);
    expect(announced?.seeds).toEqual([manifest]);
    expect(keys()).toEqual([]);
    announcer.offer(offer);
    vi.advanceTimersByTime(limits.announceSoonestMs);
    expect(keys()).toHaveLength(1);
    announcer.offer(null);
    vi.advanceTimersByTime(limits.announceSoonestMs);
    expect(keys()).toEqual([]);
    announcer.stop();
    start(true);
    expect(keys()).toHaveLength(1);
  });

  it('is a new key every hour, with the one before it', () => {
    start(true);
    const seen = new Set(keys());
    for (let hour = 1; hour <= 2; hour++) {
      const [before] = keys();
      vi.advanceTimersByTime(hourMs);
      const [now, previous, ...more] = keys();
      expect(previous).toBe(before);
      expect(seen.has(now ?? '')).toBe(false);
      expect(more).toEqual([]);
      for (const key of keys()) seen.add(key);
    }
  });
});
