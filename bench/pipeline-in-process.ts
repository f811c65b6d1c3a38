/**
 * What a cut costs by itself: a model of Qwen2.5-0.5B's shape in one process as 1, 2, 4 and 8 stages, decode with
 * embedding, head and greedy sampling, no links between.
 */
import { createEngine, type Ends, type Engine, type SpanRunner } from '@unfed/engine/node';
import { createSampler } from '@unfed/model';
import { randomSessionId, type Architecture, type SessionId, type ShardId } from '@unfed/protocol';
import { qwenHalfBillionShape, randomShard } from '@unfed/testing';
import { interleave, median, ratio } from './measure.ts';

export interface InProcess {
  /** By the number of stages: the median over rounds. */
  readonly tokensPerSecond: Readonly<Record<StageCount, number>>;
  /** Four stages against one: the median of the ratios by round. */
  readonly efficiency4: number;
}

type StageCount = (typeof stageCounts)[number];

const stageCounts = ['1', '2', '4', '8'] as const;
const seed = 5;
const promptTokens = 16;
const tokensPerRound = 24;
const architecture: Architecture = { ...qwenHalfBillionShape, contextLength: 2048 };
const quantization = 'int4';

/** @param rounds of each stage count, interleaved. @param signal stops between measurements */
export async function benchInProcess({
  rounds = 7,
  signal,
}: { rounds?: number; signal?: AbortSignal } = {}): Promise<InProcess> {
  const engine = await createEngine({ backend: 'node-cpu', signal });
  try {
    const read = rememberedShards();
    const ends = await engine.loadEnds({ architecture, quantization }, read, { signal });
    const variants: Record<string, () => Promise<number>> = {};
    for (const count of stageCounts) {
      const stages = await loadStages(engine, Number(count), read);
      variants[count] = () => tokensPerSecond(stages, ends);
      await variants[count]();
    }
    const measured = await interleave<StageCount>(variants, rounds, signal);
    const medians = stageCounts.map((count) => [count, median(measured[count])] as const);
    return {
      tokensPerSecond: Object.fromEntries(medians) as Record<StageCount, number>,
      efficiency4: ratio(measured['4'], measured['1']),
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

/** Decode alone: the prompt is read before the clock starts. */
async function tokensPerSecond(stages: readonly SpanRunner[], ends: Ends): Promise<number> {
  const session = randomSessionId();
  for (const stage of stages) await stage.open(session, promptTokens + tokensPerRound);
  const sampler = createSampler({});
  const prompt = Array.from({ length: promptTokens }, (_, i) => 1000 + 37 * i);
  const history = [...prompt];
  history.push(sampler.next(await forward(stages, ends, { session, position: 0, ids: prompt }), history));
  const startMs = performance.now();
  for (let i = 1; i < tokensPerRound; i++) {
    const position = history.length - 1;
    const logits = await forward(stages, ends, { session, position, ids: history.slice(position) });
    history.push(sampler.next(logits, history));
  }
  const seconds = (performance.now() - startMs) / 1000;
  for (const stage of stages) await stage.close(session);
  return (tokensPerRound - 1) / seconds;
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
