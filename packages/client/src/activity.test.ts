import { manifestHash } from '@unfed/protocol';
import { describe, expect, it } from 'vitest';
import { createActivity } from './activity.ts';
import * as limits from './limits.ts';
import type { Chat } from './peer.ts';

const chat: Chat = {
  manifest: manifestHash('ab'.repeat(32)),
  name: 'demo',
  contextLength: 8,
  renew: () => undefined,
  promptTokens: () => 3,
  async *answer() {
    throw new Error('no route');
  },
};

describe('activity', () => {
  it('counts an answer from its first event to its end, also one that fails', async () => {
    const seen: boolean[] = [];
    const activity = createActivity({ positionsServed: () => 0, onChange: () => seen.push(activity.isBusy()) });
    const answer = activity.watch(chat).answer([]);
    expect(activity.isBusy()).toBe(false);
    await expect(answer.next()).rejects.toThrow('no route');
    expect(seen).toEqual([true, false]);
  });

  it('lasts a while after each step that a stage served', () => {
    let [served, nowMs] = [0, 0];
    const activity = createActivity({
      positionsServed: () => served,
      onChange: () => undefined,
      nowMs: () => nowMs,
    });
    expect(activity.isBusy()).toBe(false);
    served = 4;
    expect(activity.isBusy()).toBe(true);
    nowMs = limits.stepLullMs - 1;
    expect(activity.isBusy()).toBe(true);
    nowMs = limits.stepLullMs;
    expect(activity.isBusy()).toBe(false);
  });
});
