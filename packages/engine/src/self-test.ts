/**
 * The known-answer test that every backend must pass before it serves: some GPU devices compute wrong numbers without
 * any error, and from about 18 positions on only. So: two layers, a prefill of 40 positions, a cut back, decode steps.
 */
import { randomSessionId, spanShards, type Architecture } from '@unfed/protocol';
import type { SpanRunner, SpanSpec } from './engine.ts';
import { RuntimeFailedError, SelfTestFailedError } from './errors.ts';
import * as limits from './limits.ts';
import { randomHidden, randomShard } from './random-model.ts';
import type { Runtime } from './runtime.ts';
import { selfTestAnswers } from './self-test-answers.ts';
import { loadSpan } from './span-runner.ts';

export const selfTestArchitecture: Architecture = {
  family: 'qwen2',
  layers: 2,
  width: 128,
  ffnWidth: 256,
  heads: 8,
  kvHeads: 2,
  headSize: 32,
  vocabulary: 32,
  contextLength: 64,
  normEpsilon: 1e-6,
  ropeTheta: 10_000,
  ropeScaling: null,
  slidingWindow: null,
  qkvBias: true,
  outputBias: false,
  qkNorm: false,
  tiedEmbeddings: true,
};

export const selfTestPositions = 44;
const prefillTokens = 40;
/** Where the second pass starts: the cache is cut back to it. */
const cutPosition = 38;

export const selfTestSpec: SpanSpec = {
  architecture: selfTestArchitecture,
  quantization: 'int4',
  span: { first: 0, last: selfTestArchitecture.layers },
  positionsMax: 64,
  cacheBytesMax: 1 << 20,
};

/** What enters layer 0, `[selfTestPositions, width]`. */
export function selfTestHidden(): Float32Array {
  return randomHidden(selfTestPositions, selfTestArchitecture.width, 44);
}

/** The position of every row that a run gives: a prefill, then a cut back and single steps. */
export const selfTestRows: readonly number[] = [
  ...Array.from({ length: prefillTokens }, (_, position) => position),
  ...Array.from({ length: selfTestPositions - cutPosition }, (_, i) => cutPosition + i),
];

/** @returns one number a row: the row's numbers, added with weights of that position, so that none can hide */
export function summarize(hidden: Float32Array, positions: readonly number[]): number[] {
  const { width } = selfTestArchitecture;
  return positions.map((position, row) => {
    let sum = 0;
    for (let i = 0; i < width; i++) sum += hidden[row * width + i] * Math.cos(i + position);
    return sum;
  });
}

/**
 * @returns hidden states, one row for each of `selfTestRows`, computed as a conversation would
 * @throws RuntimeFailedError, also when there is no memory for it
 */
export async function runSelfTest(runner: SpanRunner): Promise<Float32Array> {
  const { width } = selfTestArchitecture;
  const input = selfTestHidden();
  const output = new Float32Array(selfTestRows.length * width);
  const session = randomSessionId();
  if ((await runner.open(session, selfTestSpec.positionsMax)) === 'busy') {
    throw new RuntimeFailedError(`testing ${runner.backend}`, 'it has no memory for one short session');
  }
  let rows = 0;
  const pass = async (position: number, tokens: number): Promise<void> => {
    const hidden = input.slice(position * width, (position + tokens) * width);
    output.set(await runner.step({ session, position, tokens, hidden, wants: 'all' }), rows * width);
    rows += tokens;
  };
  await pass(0, prefillTokens);
  for (let position = cutPosition; position < selfTestPositions; position++) await pass(position, 1);
  await runner.close(session);
  return output;
}

/**
 * @param output one row for each of `selfTestRows`
 * @returns the largest difference from the known answers, as a part of their largest value; what is no number counts as infinite
 */
export function selfTestDifference(output: Float32Array): number {
  const largest = Math.max(...selfTestAnswers.map(Math.abs));
  const differences = summarize(output, selfTestRows).map(
    (came, row) => Math.abs(came - selfTestAnswers[selfTestRows[row]]) / largest,
  );
  return differences.every(Number.isFinite) ? Math.max(...differences) : Infinity;
}

/** @throws SelfTestFailedError, RuntimeFailedError */
export async function selfTest(runtime: Runtime, signal?: AbortSignal): Promise<void> {
  const shards = spanShards(selfTestSpec.span).map((id) => [id, randomShard(selfTestArchitecture, id)] as const);
  const byId = new Map(shards);
  const runner = await loadSpan(runtime, selfTestSpec, {
    shards: async (id) => byId.get(id) ?? new Uint8Array(0),
    signal,
  });
  try {
    const difference = selfTestDifference(await runSelfTest(runner));
    if (difference > limits.selfTestTolerance) {
      throw new SelfTestFailedError(runtime.backend, difference, limits.selfTestTolerance);
    }
  } finally {
    await runner.dispose();
  }
}
