/** Graphs against the plain reference, against themselves in other cuts, and against texts that are known. */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  argmax,
  embeddingRows,
  headGraph,
  loadTokenizer,
  spanGraph,
  type ExternalFile,
  type Quantization,
} from '@unfed/model';
import { addModel, demoModelFolder, ensureDemoModel, type ModelFolder } from '@unfed/model/node';
import { embeddingShard, shardFileName, type Architecture, type Span } from '@unfed/protocol';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomHuggingFaceFolder, type CheckpointOptions } from './random-checkpoint.node.ts';
import { referenceForward, type ReferenceWeights } from './reference-forward.ts';
import { roundedTo4Bits } from './reference-rounding.ts';
import { seededRandom } from './random.ts';

let scratch = '';
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'unfed-graphs-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

async function session(model: Uint8Array, folder: string, files: readonly ExternalFile[]): Promise<InferenceSession> {
  return InferenceSession.create(model, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
    externalData: await Promise.all(
      files.map(async ({ path }) => ({ path, data: await readFile(join(folder, path)) })),
    ),
  });
}

/** One span. What is returned starts a session with caches of its own, which grow with every step. */
async function openSpan({ folder, manifest }: ModelFolder, span: Span) {
  const { architecture, quantization } = manifest;
  const graph = spanGraph(architecture, quantization, span);
  const runner = await session(graph.model, folder, graph.externalFiles);
  expect([...runner.inputNames].sort()).toEqual([...graph.inputs].sort());
  expect([...runner.outputNames].sort()).toEqual([...graph.outputs].sort());
  const empty = () => new Tensor('float32', new Float32Array(), [1, architecture.kvHeads, 0, graph.cacheHeadSize]);
  return () => {
    const caches = graph.caches.map(() => ({ key: empty(), value: empty() }));
    let total = 0;
    return async (hidden: Float32Array): Promise<Float32Array> => {
      const positions = hidden.length / architecture.width;
      total += positions;
      const feeds: Record<string, Tensor> = {
        hidden: new Tensor('float32', hidden, [1, positions, architecture.width]),
        seqlens_k: new Tensor('int32', Int32Array.of(total - 1), [1]),
        total_sequence_length: new Tensor('int32', Int32Array.of(total), [1]),
      };
      graph.caches.forEach(({ pastKey, pastValue }, i) => {
        feeds[pastKey] = caches[i].key;
        feeds[pastValue] = caches[i].value;
      });
      const results = await runner.run(feeds);
      graph.caches.forEach(({ presentKey, presentValue }, i) => {
        caches[i] = { key: results[presentKey], value: results[presentValue] } as (typeof caches)[0];
      });
      return results['hidden_out'].data as Float32Array;
    };
  };
}

/** A model cut into `stages`: starts sessions, whose steps go from tokens to the states after every stage and the logits. */
async function openModel(model: ModelFolder, stages: number) {
  const { architecture, quantization } = model.manifest;
  const edges = Array.from({ length: stages + 1 }, (_, i) => Math.floor((i * architecture.layers) / stages));
  const spans = await Promise.all(edges.slice(1).map((last, i) => openSpan(model, { first: edges[i], last })));
  const head = headGraph(architecture, quantization);
  const headSession = await session(head.model, model.folder, head.externalFiles);
  const embedding = await readFile(join(model.folder, shardFileName(embeddingShard)));
  return () => {
    const started = spans.map((start) => start());
    return async (ids: readonly number[]) => {
      const states = [embeddingRows({ architecture, quantization }, embedding, ids)];
      for (const step of started) states.push(await step(states.at(-1)!));
      const hidden = new Tensor('float32', states.at(-1)!, [ids.length, architecture.width]);
      const { logits } = await headSession.run({ hidden });
      return { states, logits: logits.data as Float32Array };
    };
  };
}

/** Largest difference over largest value, of the rows of `came` against those from `row` on of `expected`. */
function relativeDifference(
  came: Float32Array,
  expected: Float64Array,
  { row, width }: { row: number; width: number },
) {
  let difference = 0;
  let largest = 0;
  came.forEach((value, i) => {
    const right = expected[row * width + i];
    difference = Math.max(difference, Math.abs(value - right));
    largest = Math.max(largest, Math.abs(right));
  });
  return difference / largest;
}

interface Case extends Omit<CheckpointOptions, 'dir' | 'seed'> {
  readonly rule: string;
  readonly quantize: Quantization;
}

const llama3Scaling = {
  rope_type: 'llama3',
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 32,
};

const cases: readonly Case[] = [
  { rule: 'Llama, grouped heads, untied, float', family: 'llama', quantize: 'none' },
  { rule: 'Llama, tied, int4', family: 'llama', quantize: 'int4', config: { tie_word_embeddings: true } },
  {
    rule: 'Llama, tied, float, BF16',
    family: 'llama',
    quantize: 'none',
    dtype: 'BF16',
    config: { tie_word_embeddings: true },
  },
  { rule: 'Llama, untied, int4, F16 in three files', family: 'llama', quantize: 'int4', dtype: 'F16', files: 3 },
  {
    rule: 'Llama with biases and stretched rotation',
    family: 'llama',
    quantize: 'int4',
    config: { attention_bias: true, rope_scaling: llama3Scaling },
  },
  { rule: 'Llama with heads of 8, float', family: 'llama', quantize: 'none', config: { head_dim: 8 } },
  {
    rule: 'Llama with widths that fill no block',
    family: 'llama',
    quantize: 'int4',
    config: { hidden_size: 48, intermediate_size: 72, num_attention_heads: 3, num_key_value_heads: 1 },
  },
  { rule: 'Mistral with a sliding window', family: 'mistral', quantize: 'int4', config: { sliding_window: 12 } },
  { rule: 'Qwen2 with biases, float', family: 'qwen2', quantize: 'none' },
  { rule: 'Qwen2 with biases, tied, int4', family: 'qwen2', quantize: 'int4', config: { tie_word_embeddings: true } },
  { rule: 'Qwen3 with QK-norm, float', family: 'qwen3', quantize: 'none', config: { head_dim: 32 } },
  { rule: 'Qwen3 with QK-norm, tied, int4', family: 'qwen3', quantize: 'int4', config: { tie_word_embeddings: true } },
  { rule: 'Qwen3 with QK-norm and heads of 8, float', family: 'qwen3', quantize: 'none', config: { head_dim: 8 } },
];

/** Matrices as the shards hold them. */
function asStored(weights: ReferenceWeights, shapes: ReadonlyMap<string, readonly number[]>): ReferenceWeights {
  const rounded = new Map<string, Float64Array>();
  return (name) => {
    const shape = shapes.get(name);
    if (shape?.length !== 2) return weights(name);
    const values = rounded.get(name) ?? roundedTo4Bits(weights(name), shape[1]);
    rounded.set(name, values);
    return values;
  };
}

describe('graphs agree with the reference within 1e-4 of the largest value, 40 positions at once and then one by one', () => {
  test.each(cases)('$rule', async ({ rule, quantize, ...checkpoint }) => {
    const dir = join(scratch, rule.replaceAll(/\W+/g, '-'));
    const { architecture, weights, shapes } = await randomHuggingFaceFolder({ ...checkpoint, dir, seed: 7 });
    const model = await addModel({ folder: dir, out: join(scratch, 'shards'), quantize });
    const run = (await openModel(model, architecture.layers))();
    const random = seededRandom(11);
    const ids = Array.from({ length: 43 }, () => Math.floor(random() * architecture.vocabulary));
    const reference = referenceForward(architecture, quantize === 'int4' ? asStored(weights, shapes) : weights, ids);
    const steps = [ids.slice(0, 40), ...ids.slice(40).map((id) => [id])];
    let row = 0;
    for (const step of steps) {
      const { states, logits } = await run(step);
      states.forEach((state, i) => {
        const place = { row, width: architecture.width };
        expect(relativeDifference(state, reference.hidden[i], place), `after layer ${i - 1}, row ${row}`).toBeLessThan(
          1e-4,
        );
      });
      const place = { row, width: architecture.vocabulary };
      expect(relativeDifference(logits, reference.logits, place), `logits, row ${row}`).toBeLessThan(1e-4);
      row += step.length;
    }
  });
});

describe('where a model is cut changes no bit', () => {
  test.each(['llama', 'qwen2', 'qwen3'] as const)('%s of 8 layers in 1, 2, 4 and 8 spans', async (family) => {
    const dir = join(scratch, `cut-${family}`);
    const config = { num_hidden_layers: 8, tie_word_embeddings: true };
    await randomHuggingFaceFolder({ dir, family, seed: 3, config });
    const model = await addModel({ folder: dir, out: join(scratch, 'shards'), quantize: 'int4' });
    const ids = Array.from({ length: 40 }, (_, i) => (i * 37) % 96);
    const bits = async (stages: number): Promise<string> => {
      const run = (await openModel(model, stages))();
      const results = [await run(ids), await run([5]), await run([6])];
      return results.map(({ states, logits }) => hex(states.at(-1)!) + hex(logits)).join();
    };
    const whole = await bits(1);
    for (const stages of [2, 4, 8]) expect((await bits(stages)) === whole, `${stages} stages`).toBe(true);
  });
});

function hex(values: Float32Array): string {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('hex');
}

type Run = ReturnType<Awaited<ReturnType<typeof openModel>>>;

async function greedy(run: Run, { ids, tokensMax, endTokens }: Greedy): Promise<number[]> {
  const answer: number[] = [];
  let step: readonly number[] = ids;
  while (answer.length < tokensMax && !endTokens.has(answer.at(-1) ?? -1)) {
    const { logits } = await run(step);
    step = [argmax(logits.subarray(-logits.length / step.length))];
    answer.push(...step);
  }
  return answer;
}

interface Greedy {
  readonly ids: readonly number[];
  readonly tokensMax: number;
  readonly endTokens: ReadonlySet<number>;
}

async function json(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, 'utf8'));
}

describe('the demo model in int4', () => {
  interface Prompt {
    readonly ids: readonly number[];
    readonly greedy4: readonly number[];
    readonly smallestMargin: number;
  }

  test('continues every prompt as it is known to', async () => {
    const start = await openModel(await ensureDemoModel(join(scratch, 'demo')), 1);
    const prompts = (await json(join(demoModelFolder, 'prompts.json'))) as Prompt[];
    for (const { ids, greedy4 } of prompts.filter((prompt) => prompt.smallestMargin >= 0.05)) {
      expect(await greedy(start(), { ids, tokensMax: greedy4.length, endTokens: new Set() })).toEqual(greedy4);
    }
  });

  test('answers every question as it was taught', async () => {
    const start = await openModel(await ensureDemoModel(join(scratch, 'demo')), 2);
    const tokenizer = loadTokenizer({
      tokenizerJson: await json(join(demoModelFolder, 'tokenizer.json')),
      tokenizerConfig: await json(join(demoModelFolder, 'tokenizer_config.json')),
    });
    const questions = (await json(join(demoModelFolder, 'questions.json'))) as { question: string; answer: string }[];
    const { endTokens } = tokenizer;
    for (const { question, answer } of questions) {
      const ids = tokenizer.encodeChat([{ role: 'user', content: question }]);
      expect(tokenizer.decode(await greedy(start(), { ids, tokensMax: 128, endTokens })), question).toBe(answer);
    }
  }, 120_000);
});

const outsideModel = fileURLToPath(new URL('../../../../shared/models/stories260k', import.meta.url));
if (!existsSync(outsideModel))
  process.stderr.write('stories260k does not stand beside the project: its known text is not compared\n');

describe.runIf(existsSync(outsideModel))('stories260k, which was trained elsewhere, with heads of 8', () => {
  test('tells its known story in float', async () => {
    const model = await addModel({ folder: outsideModel, out: join(scratch, 'stories'), quantize: 'none' });
    const tokenizer = loadTokenizer({
      tokenizerJson: await json(join(outsideModel, 'tokenizer.json')),
      tokenizerConfig: {},
    });
    const ids = tokenizer.encode('Once upon a time');
    expect(ids[0]).toBe(1);
    const answer = await greedy((await openModel(model, 1))(), { ids, tokensMax: 90, endTokens: new Set() });
    const stream = tokenizer.streamDecoder();
    const text = [...ids, ...answer].map((id) => stream.push(id)).join('') + stream.end();
    expect(text).toBe(tokenizer.decode([...ids, ...answer]));
    expect(text.replaceAll('\n', ' ')).toMatch(
      /^Once upon a time, there was a little girl named Lily\. She loved to play outside in the park\. One day, she saw a big, red ball\. She wanted to play with it, but it was too high\. +Lily's mom said,/,
    );
  });
});

test('an architecture gives the same graph each time', async () => {
  const { manifest } = await ensureDemoModel(join(scratch, 'demo'));
  const graph = (architecture: Architecture) => spanGraph(architecture, 'int4', { first: 1, last: 3 }).model;
  expect(graph(manifest.architecture)).toEqual(graph(structuredClone(manifest.architecture)));
});
