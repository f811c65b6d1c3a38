import { randomSessionId, spanShards } from '@unfed/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from './engine.ts';
import { createEngine } from './index.node.ts';
import * as limits from './limits.ts';
import { randomHidden, randomShard } from './random-model.ts';
import { createCpuRuntime } from './runtime-cpu.node.ts';
import { loadSpan } from './span-runner.ts';
import { spanRunnerSuite, suiteArchitecture, suiteShards, suiteSpec } from './span-runner.suite.ts';

describe('span runner on node-cpu', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await createEngine({ backend: 'auto' });
  });
  afterAll(() => engine.dispose());

  for (const { name, run } of spanRunnerSuite) it(name, () => run(engine));

  it('stops loading when the signal says so', async () => {
    const controller = new AbortController();
    const reader = (id: Parameters<typeof suiteShards>[0]) => {
      controller.abort(new Error('enough'));
      return suiteShards(id);
    };
    const loading = engine.loadSpan(suiteSpec({ first: 0, last: 2 }), reader, { signal: controller.signal });
    await expect(loading).rejects.toThrow('enough');
  });
});

/** A clock that a test moves. */
function handClock() {
  let nowMs = 0;
  const timers: { dueMs: number; callback: () => void }[] = [];
  return {
    now: () => nowMs,
    after(delayMs: number, callback: () => void) {
      const timer = { dueMs: nowMs + delayMs, callback };
      timers.push(timer);
      return () => void timers.splice(timers.indexOf(timer), 1);
    },
    advance(ms: number) {
      nowMs += ms;
      for (const timer of timers.filter(({ dueMs }) => dueMs <= nowMs)) {
        timers.splice(timers.indexOf(timer), 1);
        timer.callback();
      }
    },
    get pending() {
      return timers.length;
    },
  };
}

describe('sessions that nobody uses', () => {
  const span = { first: 0, last: 1 };
  const load = async (sessions: number) => {
    const clock = handClock();
    const shards = new Map(spanShards(span).map((id) => [id, randomShard(suiteArchitecture, id)]));
    const reader = async (id: Parameters<typeof suiteShards>[0]) => shards.get(id)!;
    const runner = await loadSpan(createCpuRuntime(), suiteSpec(span, sessions), { shards: reader, clock });
    return { clock, runner };
  };
  const stepOf = (session: ReturnType<typeof randomSessionId>) => ({
    session,
    position: 0,
    tokens: 1,
    hidden: randomHidden(1, suiteArchitecture.width, 1),
    wants: 'all' as const,
  });

  it('end after 5 minutes, and then no timer is left', async () => {
    const { clock, runner } = await load(2);
    const session = randomSessionId();
    await runner.open(session, 8);
    clock.advance(limits.idleEvictionMs - 1);
    await runner.step(stepOf(session));
    clock.advance(limits.idleEvictionMs - 1);
    expect((await runner.report()).sessions).toBe(1);
    clock.advance(limits.sweepIntervalMs);
    expect(await runner.report()).toMatchObject({ sessions: 0, cacheBytes: 0 });
    expect(clock.pending).toBe(0);
    await expect(runner.step(stepOf(session))).rejects.toMatchObject({ code: 'session-lost' });
    await runner.dispose();
  });

  it('make room for another after 60 s and not before', async () => {
    const { clock, runner } = await load(1);
    const [old, young] = [randomSessionId(), randomSessionId()];
    expect(await runner.open(old, 64)).toBe('opened');
    clock.advance(limits.idleMakesRoomMs - 1);
    expect(await runner.open(young, 64)).toBe('busy');
    clock.advance(1);
    expect(await runner.open(young, 64)).toBe('opened');
    await expect(runner.step(stepOf(old))).rejects.toMatchObject({ code: 'session-lost' });
    await runner.dispose();
  });
});
