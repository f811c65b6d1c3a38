/**
 * What a cut costs by itself: a model of Qwen2.5-0.5B's shape in one process as 1, 2, 4 and 8 stages, decode with
 * embedding, head and greedy sampling, no links between.
 */
import { createEngine, type Ends, type Engine, type SpanRunner } from '@unfed/engine/node';
import { createSampler } from '@unfed/model';
import { randomSessionId, type Architecture, type SessionId, type ShardId } from '@unfed/protocol';
import { qwenHalfBillionShape, randomShard } from '@unfed/testing';
import { interleave, median, ratio, timeMs } from './measure.ts';

export interface InProcess {
  /** By the number of stages: from the median time of a token. */
  readonly tokensPerSecond: Readonly<Record<StageCount, number>>;
  /** Four stages against one: the median of the ratios, token by token. */
  readonly efficiency4: number;
}

type StageCount = (typeof stageCounts)[number];

const stageCounts = ['1', '2', '4', '8'] as const;
const seed = 5;
const promptTokens = 16;
const architecture: Architecture = { ...qwenHalfBillionShape, contextLength: 2048 };
const quantization = 'int4';

/**
 * The cuts take turns token by token, so that a busy moment of the machine hits all of them.
 * @param tokens of each cut. @param signal stops between tokens
 */
export async function benchInProcess({
  tokens = 96,
  signal,
}: { tokens?: number; signal?: AbortSignal } = {}): Promise<InProcess> {
  const engine = await createEngine({ backend: 'node-cpu', signal });
  try {
    const read = rememberedShards();
    const ends = await engine.loadEnds({ architecture, quantization }, read, { signal });
    const variants = {} as Record<StageCount, () => Promise<number>>;
    for (const count of stageCounts) {
      const stages = await loadStages(engine, Number(count), read);
      const answer = await begin(stages, ends, promptTokens + tokens + 1);
      await answer.next();
      variants[count] = () => timeMs(() => answer.next());
    }
    const measured = await interleave(variants, tokens, signal);
    const speeds = stageCounts.map((count) => [count, 1000 / median(measured[count])] as const);
    return {
      tokensPerSecond: Object.fromEntries(speeds) as Record<StageCount, number>,
      efficiency4: ratio(measured['1'], measured['4']),
    };
  } finally {
    await engine.dispose();
  }
}

/** Every shard is made once and loaded by every cut. */
function rememberedShards(): (id: ShardId) => Promise<Uint8Array> {
  const model = { architecture, quantization, seed } as const;
  const made = new Map<ShardId, Uint8Array>();
  return async (id) => {
    const shard = made.get(id) ?? randomShard(model, id);
    made.set(id, shard);
    return shard;
  };
}

async function loadStages(
  engine: Engine,
  count: number,
  read: (id: ShardId) => Promise<Uint8Array>,
): Promise<SpanRunner[]> {
  const stages: SpanRunner[] = [];
  const layers = architecture.layers / count;
  for (let first = 0; first < architecture.layers; first += layers) {
    const span = { first, last: first + layers };
    const spec = { architecture, quantization, span, positionsMax: 256, cacheBytesMax: 64 << 20 } as const;
    stages.push(await engine.loadSpan(spec, read));
  }
  return stages;
}

interface Answer {
  /** Computes and samples one token more. */
  next(): Promise<void>;
}

/** Reads the prompt. @param positionsMax of the answer, prompt included */
async function begin(stages: readonly SpanRunner[], ends: Ends, positionsMax: number): Promise<Answer> {
  const session = randomSessionId();
  for (const stage of stages) await stage.open(session, positionsMax);
  const sampler = createSampler({});
  const history = Array.from({ length: promptTokens }, (_, i) => 1000 + 37 * i);
  const continueFrom = async (position: number): Promise<void> => {
    const logits = await forward(stages, ends, { session, position, ids: history.slice(position) });
    history.push(sampler.next(logits, history));
  };
  await continueFrom(0);
  return { next: () => continueFrom(history.length - 1) };
}

/** @returns the last position's logits */
async function forward(
  stages: readonly SpanRunner[],
  ends: Ends,
  { session, position, ids }: { session: SessionId; position: number; ids: readonly number[] },
): Promise<Float32Array> {
  let hidden = await ends.embed(ids);
  for (const stage of stages) {
    hidden = await stage.step({ session, position, tokens: ids.length, hidden, wants: 'all' });
  }
  return ends.logits(hidden.slice(-architecture.width));
}
