import { afterAll, describe, expect, it } from 'vitest';
import type { SpanRunner } from './engine.ts';
import * as limits from './limits.ts';
import { compareMs, measureStepMs, median } from './measure.ts';
import { createCpuRuntime } from './runtime-cpu.node.ts';

const runtime = createCpuRuntime();
afterAll(() => runtime.dispose());

/** Counts the steps of one session; the first `warm` of them may do as they like. */
function countingRunner() {
  const seen = { steps: [] as number[], closed: 0 };
  const runner: Pick<SpanRunner, 'open' | 'step' | 'close'> = {
    open: async () => 'opened',
    step: async ({ position, hidden }) => {
      seen.steps.push(position);
      return hidden;
    },
    close: async () => void seen.closed++,
  };
  return { seen, runner: runner as SpanRunner };
}

describe('measuring', () => {
  it('the benchmark between backends runs on a real runtime and gives a time', async () => {
    const ms = await compareMs(runtime);
    expect(ms).toBeGreaterThan(0);
    expect(ms).toBeLessThan(Infinity);
  });

  it('takes decode steps in order, after a warm-up, and closes its session', async () => {
    const { runner, seen } = countingRunner();
    await measureStepMs(runner, { width: 4, steps: 3, msMax: 60_000 });
    expect(seen.steps).toEqual(Array.from({ length: limits.measureWarmupSteps + 3 }, (_, i) => i));
    expect(seen.closed).toBe(1);
  });

  it('a runner without room is infinitely slow; the signal ends a measurement and its session', async () => {
    const full = { open: async () => 'busy' } as unknown as SpanRunner;
    expect(await measureStepMs(full, { width: 4, steps: 3, msMax: 1000 })).toBe(Infinity);
    const { runner, seen } = countingRunner();
    const measured = measureStepMs(runner, { width: 4, steps: 3, msMax: 1000, signal: AbortSignal.abort() });
    await expect(measured).rejects.toThrow(/abort/);
    expect(seen).toEqual({ steps: [], closed: 1 });
  });

  it('the median of an even number of times lies between the two in the middle', () => {
    expect([median([3, 1, 2]), median([4, 1, 3, 2])]).toEqual([2, 2.5]);
  });
});
