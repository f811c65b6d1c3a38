/** Hugging Face folders of small models with random weights, as people publish them, for tests of what reads them. */
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { architectureFromConfig, halfBits, halfValue, shardSources } from '@unfed/model';
import { demoModelFolder } from '@unfed/model/node';
import { embeddingShard, headShard, layerShard, type Architecture } from '@unfed/protocol';
import { seededRandom, seedFrom } from './random.ts';
import type { ReferenceWeights } from './reference-forward.ts';

export interface CheckpointOptions {
  readonly dir: string;
  readonly family: Architecture['family'];
  readonly seed: number;
  /** Fields of config.json over the defaults of a small model: 2 layers, width 64, 4/2 heads of 16, vocabulary 96. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** How weights are stored. Default F32. */
  readonly dtype?: 'F32' | 'F16' | 'BF16';
  /** In how many files, by an index where more than one. Default 1. */
  readonly files?: number;
}

export interface RandomCheckpoint {
  readonly architecture: Architecture;
  /** The values as stored. */
  readonly weights: ReferenceWeights;
  /** Shapes by name, in the order of storing. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
}

const classNames = {
  llama: 'LlamaForCausalLM',
  mistral: 'MistralForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
} as const;

/** The tokenizer is the demo model's. */
export async function randomHuggingFaceFolder(options: CheckpointOptions): Promise<RandomCheckpoint> {
  const { dir, family, seed, dtype = 'F32', files = 1 } = options;
  const config = {
    architectures: [classNames[family]],
    model_type: family,
    num_hidden_layers: 2,
    hidden_size: 64,
    intermediate_size: 96,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 16,
    vocab_size: 96,
    max_position_embeddings: 128,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    hidden_act: 'silu',
    ...(family === 'mistral' ? { sliding_window: null } : {}),
    ...options.config,
  };
  const architecture = architectureFromConfig(config);
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, 'config.json'), JSON.stringify(config, null, 1));
  for (const name of ['tokenizer.json', 'tokenizer_config.json', 'generation_config.json']) {
    await copyFile(join(demoModelFolder, name), join(dir, name));
  }
  const shapes = tensorShapes(architecture);
  const values = new Map<string, Float32Array>();
  for (const [name, shape] of shapes) values.set(name, randomTensor(name, shape, { seed, dtype }));
  await writeWeights(dir, { shapes, values, dtype, files });
  return {
    architecture,
    shapes,
    weights: (name) => {
      const tensor = values.get(name);
      if (tensor === undefined) throw new RangeError(`the random model has no ${name}`);
      return tensor;
    },
  };
}

function tensorShapes(architecture: Architecture): Map<string, number[]> {
  const ids = [embeddingShard, ...Array.from({ length: architecture.layers }, (_, i) => layerShard(i)), headShard];
  const shapes = new Map<string, number[]>();
  for (const id of ids) {
    const { matrices, vectors } = shardSources(architecture, 'none', id);
    for (const { source, length } of [...vectors.values()].flat()) shapes.set(source, [length]);
    for (const { source, rows, columns } of [...matrices.values()].flat()) shapes.set(source, [rows, columns]);
  }
  return shapes;
}

type Dtype = 'F32' | 'F16' | 'BF16';

function randomTensor(
  name: string,
  shape: readonly number[],
  { seed, dtype }: { seed: number; dtype: Dtype },
): Float32Array {
  const random = seededRandom(seedFrom(seed, name));
  const centre = name.includes('norm') ? 1 : 0;
  const spread = shape.length === 2 ? 1.5 * Math.sqrt(3 / (shape[1] ?? 1)) : 0.3;
  const count = shape.reduce((product, size) => product * size, 1);
  return Float32Array.from({ length: count }, () => stored(centre + spread * (2 * random() - 1), dtype));
}

/** The value that a type keeps. */
function stored(value: number, dtype: Dtype): number {
  if (dtype === 'F16') return halfValue(halfBits(value));
  if (dtype === 'F32') return Math.fround(value);
  const word = new Uint32Array(Float32Array.of(value).buffer);
  word[0] = (word[0] ?? 0) & 0xffff0000;
  return new Float32Array(word.buffer)[0] ?? 0;
}

interface Weights {
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly values: ReadonlyMap<string, Float32Array>;
  readonly dtype: Dtype;
  readonly files: number;
}

async function writeWeights(dir: string, { shapes, values, dtype, files }: Weights): Promise<void> {
  const names = [...shapes.keys()];
  const fileOf = (i: number) =>
    files === 1 ? 'model.safetensors' : `model-${(i % files) + 1}-of-${files}.safetensors`;
  const groups = new Map<string, Map<string, Uint8Array>>();
  for (const [i, name] of names.entries()) {
    const group = groups.get(fileOf(i)) ?? new Map<string, Uint8Array>();
    groups.set(fileOf(i), group.set(name, storedBytes(values.get(name) ?? new Float32Array(), dtype)));
  }
  for (const [file, tensors] of groups) {
    await writeFile(
      join(dir, file),
      encodeSafetensors([...tensors].map(([name, bytes]) => ({ name, dtype, shape: shapes.get(name) ?? [], bytes }))),
    );
  }
  if (files === 1) return;
  const index = { weight_map: Object.fromEntries(names.map((name, i) => [name, fileOf(i)])) };
  await writeFile(join(dir, 'model.safetensors.index.json'), JSON.stringify(index));
}

function storedBytes(values: Float32Array, dtype: Dtype): Uint8Array {
  const bytes = new Uint8Array(values.length * (dtype === 'F32' ? 4 : 2));
  const view = new DataView(bytes.buffer);
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  values.forEach((value, i) => {
    if (dtype === 'F32') view.setFloat32(4 * i, value, true);
    else view.setUint16(2 * i, dtype === 'F16' ? halfBits(value) : (words[i] ?? 0) >>> 16, true);
  });
  return bytes;
}

export interface StoredTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** @returns a safetensors file with these tensors in this order */
export function encodeSafetensors(tensors: readonly StoredTensor[]): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let offset = 0;
  for (const { name, dtype, shape, bytes } of tensors) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes.byteLength] };
    offset += bytes.byteLength;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const file = new Uint8Array(8 + json.byteLength + offset);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.byteLength), true);
  file.set(json, 8);
  let at = 8 + json.byteLength;
  for (const { bytes } of tensors) {
    file.set(bytes, at);
    at += bytes.byteLength;
  }
  return file;
}
