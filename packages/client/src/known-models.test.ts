import type { Announcement, Manifest, ManifestHash } from '@unfed/protocol';
import { describe, expect, it } from 'vitest';
import { knownModels } from './known-models.ts';
import * as limits from './limits.ts';

const hashOf = (number: number) => number.toString(16).padStart(64, '0') as ManifestHash;
const settled = () => new Promise((resolve) => setTimeout(resolve));

/** Pools that are announced, a source that has some of their manifests, and a clock. */
function world({ listed = 0, announced = 0 }: { listed?: number; announced?: number }) {
  const state = { nowMs: 0, asked: [] as ManifestHash[], held: new Set<ManifestHash>(), announced, changes: 0 };
  const abort = new AbortController();
  const view = knownModels({
    listed: Array.from({ length: listed }, (_, i) => ({ manifest: hashOf(i), name: `model ${i}` })),
    directory: {
      announcements: () =>
        Array.from({ length: state.announced }, (_, i) => ({ stage: { manifest: hashOf(1000 + i) } }) as Announcement),
      onChange: () => () => undefined,
    },
    source: {
      manifest: async (hash) => {
        state.asked.push(hash);
        if (!state.held.has(hash)) throw new Error('no such file');
        return { manifest: { name: `held ${hash.slice(-2)}` } as Manifest, bytes: new Uint8Array() };
      },
    },
    signal: abort.signal,
    onChange: () => state.changes++,
    nowMs: () => state.nowMs,
  });
  return { state, view, abort };
}

describe('known models', () => {
  it('a listed model is known by name at once, and its manifest is asked for until it comes', async () => {
    const { state, view } = world({ listed: 1 });
    expect(view().get(hashOf(0))).toEqual({ name: 'model 0' });
    await settled();
    view();
    expect(state.asked).toHaveLength(1);
    state.held.add(hashOf(0));
    state.nowMs = limits.manifestRetryMs;
    view();
    await settled();
    expect(view().get(hashOf(0))).toMatchObject({ name: 'held 00' });
    expect([state.asked.length, state.changes]).toEqual([2, 1]);
  });

  it('whoever announces many pools makes nobody ask for more than the limit at a time', async () => {
    const { state, view } = world({ listed: 1, announced: 500 });
    view();
    await settled();
    view();
    expect(state.asked).toHaveLength(limits.manifestsAskedMax);
    expect(state.asked[0]).toBe(hashOf(0));
  });

  it('after the end nothing is asked for', () => {
    const { state, view, abort } = world({ listed: 1, announced: 3 });
    abort.abort();
    view();
    expect(state.asked).toEqual([]);
  });
});
