/** How fast a span decodes: the number that a stage announces, and by which backends are compared. */
import { randomSessionId, spanShards, type Architecture } from '@unfed/protocol';
import type { SpanRunner } from './engine.ts';
import * as limits from './limits.ts';
import { randomHidden, randomShard } from './random-model.ts';
import type { Runtime } from './runtime.ts';
import { loadSpan } from './span-runner.ts';

interface MeasureOptions {
  readonly width: number;
  readonly steps: number;
  /** After so long no further step is begun; at least one is measured. */
  readonly msMax: number;
  readonly signal?: AbortSignal;
}

/**
 * Decode steps by one session alone.
 * @returns ms a step, the median; Infinity when the runner had no room for a session
 * @throws what the runner throws, the signal's reason
 */
export async function measureStepMs(runner: SpanRunner, options: MeasureOptions): Promise<number> {
  const { width, steps, msMax, signal } = options;
  const positionsMax = limits.measureWarmupSteps + steps;
  const session = randomSessionId();
  if ((await runner.open(session, positionsMax)) === 'busy') return Infinity;
  try {
    const times: number[] = [];
    const beginMs = performance.now();
    for (let position = 0; position < positionsMax; position++) {
      signal?.throwIfAborted();
      if (times.length > 0 && performance.now() - beginMs > msMax) break;
      const hidden = randomHidden(1, width, position);
      const startMs = performance.now();
      await runner.step({ session, position, tokens: 1, hidden, wants: 'all' });
      if (position >= limits.measureWarmupSteps) times.push(performance.now() - startMs);
    }
    return median(times);
  } finally {
    await runner.close(session);
  }
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** One layer as wide as Qwen2.5-0.5B's: a smaller one would favour backends that start quickly and compute slowly. */
const compareArchitecture: Architecture = {
  family: 'qwen2',
  layers: 1,
  width: 896,
  ffnWidth: 4864,
  heads: 14,
  kvHeads: 2,
  headSize: 64,
  vocabulary: 32,
  contextLength: 64,
  normEpsilon: 1e-6,
  ropeTheta: 1_000_000,
  ropeScaling: null,
  slidingWindow: null,
  qkvBias: true,
  outputBias: false,
  qkNorm: false,
  tiedEmbeddings: true,
};

/** The short benchmark between backends. @returns ms a decode step of one layer */
export async function compareMs(runtime: Runtime, signal?: AbortSignal): Promise<number> {
  const span = { first: 0, last: 1 };
  const [id] = spanShards(span);
  const shard = randomShard(compareArchitecture, id);
  const spec = { architecture: compareArchitecture, quantization: 'int4', span, positionsMax: 64 } as const;
  const options = { shards: async () => shard, signal };
  const runner = await loadSpan(runtime, { ...spec, cacheBytesMax: 1 << 20 }, options);
  try {
    const { width } = compareArchitecture;
    return await measureStepMs(runner, { width, steps: limits.compareSteps, msMax: limits.compareMsMax, signal });
  } finally {
    await runner.dispose();
  }
}
