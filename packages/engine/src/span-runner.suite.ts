/**
 * What every backend must do, as cases that run anywhere: under vitest on the CPU, in a real page on wasm and WebGPU.
 * A case throws when its rule is broken.
 */
import { embeddingRows } from '@unfed/model';
import {
  DecodeError,
  embeddingShard,
  randomSessionId,
  type Architecture,
  type SessionId,
  type Span,
} from '@unfed/protocol';
import type { Engine, SpanRunner, SpanSpec } from './engine.ts';
import { randomHidden, randomShard } from './random-model.ts';

export interface SuiteCase {
  /** The rule that it checks. */
  readonly name: string;
  /** Few enough steps for a GPU that a CPU emulates. */
  readonly brief?: true;
  run(engine: Engine): Promise<void>;
}

export const suiteArchitecture: Architecture = {
  family: 'qwen2',
  layers: 4,
  width: 64,
  ffnWidth: 128,
  heads: 4,
  kvHeads: 2,
  headSize: 16,
  vocabulary: 96,
  contextLength: 256,
  normEpsilon: 1e-6,
  ropeTheta: 10_000,
  ropeScaling: null,
  slidingWindow: null,
  qkvBias: true,
  outputBias: false,
  qkNorm: false,
  tiedEmbeddings: true,
};

const { width } = suiteArchitecture;
const positionsMax = 64;
const cacheBytesPerLayer = positionsMax * 2 * suiteArchitecture.kvHeads * suiteArchitecture.headSize * 4;
const prompt = randomHidden(positionsMax, width, 1);
const otherPrompt = randomHidden(positionsMax, width, 2);

/** @param sessions how many of full length fit */
export function suiteSpec(span: Span, sessions = 4): SpanSpec {
  const cacheBytesMax = sessions * (span.last - span.first) * cacheBytesPerLayer;
  return { architecture: suiteArchitecture, quantization: 'int4', span, positionsMax, cacheBytesMax };
}

export const suiteShards = async (id: Parameters<typeof randomShard>[1]) => randomShard(suiteArchitecture, id);

/** Runs `body` with a loaded span, and disposes it whatever happens. */
async function withRunner<T>(engine: Engine, spec: SpanSpec, body: (runner: SpanRunner) => Promise<T>): Promise<T> {
  const runner = await engine.loadSpan(spec, suiteShards);
  try {
    return await body(runner);
  } finally {
    await runner.dispose();
  }
}

const whole = { first: 0, last: 4 };
const firstTwo = { first: 0, last: 2 };

async function opened(runner: SpanRunner): Promise<SessionId> {
  const session = randomSessionId();
  equal(await runner.open(session, positionsMax), 'opened');
  return session;
}

interface Pass {
  readonly session: SessionId;
  readonly from: number;
  readonly to: number;
  readonly input?: Float32Array;
}

/** One step over positions `[from, to)` of an input. */
function pass(runner: SpanRunner, { session, from, to, input = prompt }: Pass): Promise<Float32Array> {
  const hidden = input.slice(from * width, to * width);
  return runner.step({ session, position: from, tokens: to - from, hidden, wants: 'all' });
}

/** Consecutive steps that end at `cuts`. */
async function passes(
  runner: SpanRunner,
  session: SessionId,
  { cuts, input }: { cuts: readonly number[]; input?: Float32Array },
): Promise<Float32Array> {
  const rows: number[] = [];
  let from = 0;
  for (const to of cuts) {
    rows.push(...(await pass(runner, { session, from, to, input })));
    from = to;
  }
  return Float32Array.from(rows);
}

export const spanRunnerSuite: readonly SuiteCase[] = [
  {
    name: 'a prefill in one step, in chunks and token by token give the same within rounding',
    async run(engine) {
      await withRunner(engine, suiteSpec(whole), async (runner) => {
        const at = async (cuts: readonly number[]) => passes(runner, await opened(runner), { cuts });
        const once = await at([40]);
        near(await at([16, 32, 40]), once);
        near(await at(Array.from({ length: 40 }, (_, i) => i + 1)), once);
      });
    },
  },
  {
    name: 'a step first cuts the cache back to its position: the same positions again give the same bits',
    brief: true,
    async run(engine) {
      await withRunner(engine, suiteSpec(firstTwo), async (runner) => {
        const session = await opened(runner);
        await pass(runner, { session, from: 0, to: 20 });
        const first = await pass(runner, { session, from: 20, to: 24 });
        await pass(runner, { session, from: 12, to: 30, input: otherPrompt });
        await pass(runner, { session, from: 12, to: 20 });
        near(await pass(runner, { session, from: 20, to: 24 }), first);
        same(await pass(runner, { session, from: 20, to: 24 }), await pass(runner, { session, from: 20, to: 24 }));
      });
    },
  },
  {
    name: 'layers cut into spans give the same bits as one span',
    brief: true,
    async run(engine) {
      const through = async (spans: readonly Span[]): Promise<Float32Array[]> => {
        let steps: Float32Array[] = [prompt.slice(0, 40 * width), prompt.slice(40 * width, 41 * width)];
        for (const span of spans) {
          steps = await withRunner(engine, suiteSpec(span), async (runner) => {
            const session = await opened(runner);
            const prefill = await runner.step({ session, position: 0, tokens: 40, hidden: steps[0], wants: 'all' });
            return [prefill, await runner.step({ session, position: 40, tokens: 1, hidden: steps[1], wants: 'all' })];
          });
        }
        return steps;
      };
      const [prefill, decode] = await through([whole]);
      for (const spans of [
        [firstTwo, { first: 2, last: 4 }],
        [0, 1, 2, 3].map((first) => ({ first, last: first + 1 })),
      ]) {
        const [cutPrefill, cutDecode] = await through(spans);
        same(cutPrefill, prefill);
        same(cutDecode, decode);
      }
    },
  },
  {
    name: 'who wants the last position gets the last row of all',
    brief: true,
    async run(engine) {
      await withRunner(engine, suiteSpec(firstTwo), async (runner) => {
        const session = await opened(runner);
        const all = await pass(runner, { session, from: 0, to: 20 });
        const hidden = prompt.slice(0, 20 * width);
        const last = await runner.step({ session, position: 0, tokens: 20, hidden, wants: 'last' });
        same(last, all.slice(19 * width));
      });
    },
  },
  {
    name: 'one session does not disturb another',
    async run(engine) {
      await withRunner(engine, suiteSpec(firstTwo), async (runner) => {
        const alone = await passes(runner, await opened(runner), { cuts: [10, 11, 12] });
        const [a, b] = [await opened(runner), await opened(runner)];
        const rows: number[] = [];
        for (const [from, to] of [
          [0, 10],
          [10, 11],
          [11, 12],
        ]) {
          const [mine] = await Promise.all([
            pass(runner, { session: a, from, to }),
            pass(runner, { session: b, from, to, input: otherPrompt }),
          ]);
          rows.push(...mine);
        }
        same(Float32Array.from(rows), alone);
      });
    },
  },
  {
    name: 'a session that does not fit in the budget is answered busy, and fits once another closed',
    brief: true,
    async run(engine) {
      await withRunner(engine, suiteSpec(firstTwo, 1), async (runner) => {
        const session = await opened(runner);
        equal(await runner.open(randomSessionId(), 1), 'busy');
        await runner.close(session);
        await opened(runner);
      });
    },
  },
  {
    name: 'a closed session and one never opened are lost; closing twice is no error',
    brief: true,
    async run(engine) {
      await withRunner(engine, suiteSpec(firstTwo), async (runner) => {
        const session = await opened(runner);
        await runner.close(session);
        await runner.close(session);
        await fails('session-lost', pass(runner, { session, from: 0, to: 1 }));
        await fails('session-lost', pass(runner, { session: randomSessionId(), from: 0, to: 1 }));
      });
    },
  },
  {
    name: 'a gap, more positions than reserved, another length and a longer session are refused, and do no harm',
    async run(engine) {
      await withRunner(engine, suiteSpec(firstTwo), async (runner) => {
        const session = await opened(runner);
        const alone = await pass(runner, { session, from: 0, to: 4 });
        await fails('session-position', pass(runner, { session, from: 5, to: 6 }));
        const tooMany = randomHidden(positionsMax, width, 3);
        const overrun = { session, position: 4, tokens: positionsMax, hidden: tooMany, wants: 'all' } as const;
        await fails('session-position', runner.step(overrun));
        const short = { session, position: 4, tokens: 2, hidden: new Float32Array(width), wants: 'all' } as const;
        await fails('invalid-value', runner.step(short));
        await fails('invalid-value', runner.open(randomSessionId(), positionsMax + 1));
        same(await pass(runner, { session, from: 0, to: 4 }), alone);
      });
    },
  },
  {
    name: 'a session that is opened again starts over',
    async run(engine) {
      await withRunner(engine, suiteSpec(firstTwo, 1), async (runner) => {
        const session = await opened(runner);
        await pass(runner, { session, from: 0, to: 4 });
        equal(await runner.open(session, positionsMax), 'opened');
        await fails('session-position', pass(runner, { session, from: 4, to: 5 }));
      });
    },
  },
  {
    name: 'the report counts sessions, bytes, steps and positions',
    async run(engine) {
      await withRunner(engine, suiteSpec(firstTwo), async (runner) => {
        await pass(runner, { session: await opened(runner), from: 0, to: 5 });
        const report = await runner.report();
        const weightBytes = (await suiteShards('layer-0' as never)).byteLength * 2;
        const { sessions, cacheBytes, stepsServed, positionsServed } = report;
        equal(
          JSON.stringify([sessions, cacheBytes, report.weightBytes, stepsServed, positionsServed]),
          JSON.stringify([1, 2 * cacheBytesPerLayer, weightBytes, 1, 5]),
        );
      });
    },
  },
  {
    name: 'a shard of another size than its architecture gives is refused',
    async run(engine) {
      const short = async (id: Parameters<typeof suiteShards>[0]) => (await suiteShards(id)).subarray(1);
      await fails('shard-size', engine.loadSpan(suiteSpec(firstTwo), short));
    },
  },
  {
    name: 'what the reader throws comes back as it is',
    async run(engine) {
      const thrown = new DecodeError('shard', 'good bytes', 'bad bytes');
      const loading = engine.loadSpan(suiteSpec(firstTwo), () => Promise.reject(thrown));
      equal(await loading.catch((error: unknown) => error), thrown);
    },
  },
  {
    name: "a shard's bytes are the reader's again once the span is loaded",
    async run(engine) {
      const given: Uint8Array[] = [];
      const runner = await engine.loadSpan(suiteSpec(firstTwo), async (id) => {
        given.push(await suiteShards(id));
        return given[given.length - 1];
      });
      const before = await pass(runner, { session: await opened(runner), from: 0, to: 8 });
      for (const shard of given) shard.fill(0);
      same(await pass(runner, { session: await opened(runner), from: 0, to: 8 }), before);
      await runner.dispose();
    },
  },
  {
    name: 'a disposed runner refuses steps',
    async run(engine) {
      const runner = await engine.loadSpan(suiteSpec(firstTwo), suiteShards);
      const session = await opened(runner);
      await runner.dispose();
      await fails('engine-disposed', pass(runner, { session, from: 0, to: 1 }));
    },
  },
  {
    name: 'the ends embed by look-up, and the head multiplies the norm of the hidden states by the embedding',
    brief: true,
    async run(engine) {
      const ends = await engine.loadEnds({ architecture: suiteArchitecture, quantization: 'int4' }, suiteShards);
      const shard = await suiteShards(embeddingShard);
      const model = { architecture: suiteArchitecture, quantization: 'int4' } as const;
      same(await ends.embed([3, 95, 0]), embeddingRows(model, shard, [3, 95, 0]));
      const hidden = prompt.slice(0, width);
      near(await ends.logits(hidden.slice()), plainLogits(hidden, embeddingRows(model, shard, allTokens)));
      await ends.dispose();
    },
  },
  {
    name: 'measuring gives a speed and leaves no session behind',
    brief: true,
    async run(engine) {
      await withRunner(engine, suiteSpec(firstTwo, 1), async (runner) => {
        const stepsPerSecond = await engine.measure(runner);
        check(Number.isFinite(stepsPerSecond) && stepsPerSecond > 0, 'a speed', String(stepsPerSecond));
        equal((await runner.report()).sessions, 0);
      });
    },
  },
];

const allTokens = Array.from({ length: suiteArchitecture.vocabulary }, (_, id) => id);

/** Root-mean-square norm and one product a token, in float64. */
function plainLogits(hidden: Float32Array, embedding: Float32Array): Float32Array {
  const bytes = randomShard(suiteArchitecture, 'head' as never);
  const weight = new Float32Array(bytes.buffer, 0, width);
  const square = hidden.reduce((sum, x) => sum + x * x, 0) / width;
  const normed = Array.from(hidden, (x, i) => (x / Math.sqrt(square + suiteArchitecture.normEpsilon)) * weight[i]);
  return Float32Array.from(allTokens, (id) => normed.reduce((sum, x, i) => sum + x * embedding[id * width + i], 0));
}

function check(holds: boolean, expected: string, came: string): void {
  if (!holds) throw new Error(`expected ${expected}, came ${came}`);
}

function equal(came: unknown, expected: unknown): void {
  check(came === expected, String(expected), String(came));
}

function same(came: Float32Array, expected: Float32Array): void {
  check(came.length === expected.length, `${expected.length} numbers`, String(came.length));
  const at = came.findIndex((value, i) => !Object.is(value, expected[i]));
  check(at === -1, `the same bits: ${expected[at]} at ${at}`, String(came[at]));
}

/** Within 1e-4 of the largest value. */
function near(came: Float32Array, expected: Float32Array): void {
  check(came.length === expected.length, `${expected.length} numbers`, String(came.length));
  const largest = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  check(largest > 0, 'numbers other than 0', 'zeros');
  came.forEach((value, i) => {
    check(Math.abs(value - expected[i]) <= 1e-4 * largest, `${expected[i]} at ${i}`, String(value));
  });
}

async function fails(code: string, promise: Promise<unknown>): Promise<void> {
  const came = await promise.then(
    () => 'success',
    (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : String(error)),
  );
  equal(came, code);
}
