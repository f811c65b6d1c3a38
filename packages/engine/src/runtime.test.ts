import { randomSessionId } from '@unfed/protocol';
import { describe, expect, it } from 'vitest';
import { DeviceLostError, RuntimeFailedError } from './errors.ts';
import { KvGrowing } from './kv-memory.ts';
import { LocalEngine } from './local-engine.ts';
import { Mutex } from './mutex.ts';
import type { Runtime } from './runtime.ts';
import { createCpuRuntime } from './runtime-cpu.node.ts';
import { spanRunnerSuite, suiteArchitecture, suiteShards, suiteSpec } from './span-runner.suite.ts';

const span = { first: 0, last: 1 };

describe('span runner with caches that grow', () => {
  const runtime = createCpuRuntime();
  const growing: Runtime = { ...runtime, allocateKv: async (shape) => new KvGrowing(shape, runtime.Tensor) };
  const engine = new LocalEngine(growing, '');
  for (const { name, run } of spanRunnerSuite) it(name, () => run(engine));
});

describe('a runtime in trouble', () => {
  it('that loses its device ends all sessions; every call says so, and so does the report', async () => {
    let lose: (error: DeviceLostError) => void = () => undefined;
    let lost: DeviceLostError | null = null;
    const runtime: Runtime = {
      ...createCpuRuntime(),
      get lost() {
        return lost;
      },
      onLost: (callback) => void (lose = callback),
    };
    const runner = await new LocalEngine(runtime, '').loadSpan(suiteSpec(span), suiteShards);
    const session = randomSessionId();
    await runner.open(session, 8);
    lost = new DeviceLostError('unplugged');
    lose(lost);
    const hidden = new Float32Array(suiteArchitecture.width);
    await expect(runner.step({ session, position: 0, tokens: 1, hidden, wants: 'all' })).rejects.toBe(lost);
    await expect(runner.open(session, 8)).rejects.toBe(lost);
    expect(await runner.report()).toMatchObject({ sessions: 0, cacheBytes: 0, failure: lost.message });
  });

  it('that has no memory for a cache answers busy and keeps nothing reserved', async () => {
    const refuse = () => Promise.reject(new RuntimeFailedError('allocating', 'out of memory'));
    const runtime: Runtime = { ...createCpuRuntime(), allocateKv: refuse };
    const runner = await new LocalEngine(runtime, '').loadSpan(suiteSpec(span), suiteShards);
    expect(await runner.open(randomSessionId(), 8)).toBe('busy');
    expect((await runner.report()).cacheBytes).toBe(0);
  });

  it('that refuses a graph says what it was doing', async () => {
    const refuse = () => Promise.reject(new Error('bad graph'));
    const runtime: Runtime = { ...createCpuRuntime(), createSession: refuse };
    const loading = new LocalEngine(runtime, '').loadSpan(suiteSpec(span), suiteShards);
    await expect(loading).rejects.toMatchObject({ code: 'runtime-failed', doing: 'loading layers 0 on node-cpu' });
  });
});

describe('mutex', () => {
  it('runs one at a time, in order, and goes on after a failure', async () => {
    const mutex = new Mutex();
    const events: string[] = [];
    const task = (name: string, fails = false) =>
      mutex.run(async () => {
        events.push(`${name} begins`);
        await Promise.resolve();
        events.push(`${name} ends`);
        if (fails) throw new Error(name);
      });
    const results = await Promise.allSettled([task('a', true), task('b')]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
    expect(events).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
  });
});
