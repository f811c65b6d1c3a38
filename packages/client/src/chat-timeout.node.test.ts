import type { SpanRunner } from '@unfed/engine/node';
import { StepTimeoutError } from '@unfed/inference';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { DemoChats, textOf, user } from './demo-chats.suite.ts';

// A client waits this long for a step that never comes back.
vi.mock('../../inference/src/limits.ts', async (original) => ({ ...(await original<object>()), stepMsMax: 2000 }));

let chats: DemoChats;
beforeAll(async () => {
  chats = await DemoChats.load();
}, 120_000);
afterEach(async () => {
  vi.restoreAllMocks();
  await chats.closeAll();
});
afterAll(() => chats.dispose());

/** The runner of the second stage takes steps and never answers one. */
function silent(runner: SpanRunner, index: number): SpanRunner {
  if (index === 1) runner.step = () => new Promise(() => undefined);
  return runner;
}

describe('a chat whose step never comes back', () => {
  it('P4: takes another route while nothing was shown', async () => {
    // Of equals, the first is drawn: the silent one.
    vi.spyOn(Math, 'random').mockReturnValue(0);
    const spans = [
      [0, 4],
      [4, 8],
      [4, 8],
    ] as const;
    const { chat, pool } = await chats.over(spans, { change: silent });
    const second: string[] = [];
    const { text } = await textOf(chat.answer([user('What is the capital of France?')]), (event) => {
      if (event.kind === 'route') second.push(event.hops[1].peer);
    });
    expect(text).toBe('The capital of France is Paris.');
    expect(second).toEqual(pool.stages.slice(1).map(({ identity }) => identity.peer));
  });

  it('says so where there is no other route', async () => {
    const spans = [
      [0, 4],
      [4, 8],
    ] as const;
    const { chat } = await chats.over(spans, { change: silent });
    await expect(textOf(chat.answer([user('What is the capital of France?')]))).rejects.toThrow(StepTimeoutError);
  });
});
