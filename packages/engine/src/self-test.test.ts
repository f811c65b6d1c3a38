import { shardLayout, tensorIn } from '@unfed/model';
import { layerShard } from '@unfed/protocol';
import { referenceForward } from '@unfed/testing';
import { describe, expect, it } from 'vitest';
import type { SpanRunner } from './engine.ts';
import { RuntimeFailedError } from './errors.ts';
import * as limits from './limits.ts';
import { randomShard } from './random-model.ts';
import { selfTestAnswers } from './self-test-answers.ts';
import {
  runSelfTest,
  selfTestArchitecture as architecture,
  selfTestDifference,
  selfTestHidden,
  selfTestPositions,
  summarize,
} from './self-test.ts';

/** Rows `[from, to)` of a tensor in a layer's shard, as numbers. */
function numbers(layer: number, name: string, range?: { from: number; to: number }): number[] {
  const id = layerShard(layer);
  const shard = randomShard(architecture, id);
  const layout = shardLayout(architecture, 'int4', id);
  const view = new DataView(shard.buffer);
  if (layout.tensors.some((tensor) => tensor.name === name)) {
    const { offset, bytes } = tensorIn(layout, name);
    const all = Array.from({ length: bytes / 4 }, (_, i) => view.getFloat32(offset + 4 * i, true));
    return all.slice(range?.from, range?.to);
  }
  const { offset, bytes, shape } = tensorIn(layout, `${name}.weight`);
  const all = Array.from({ length: bytes }, (_, i) => {
    const packed = view.getUint8(offset + i);
    return [((packed & 15) - 8) / 32, ((packed >> 4) - 8) / 32];
  }).flat();
  const inputs = shape[1] * 32;
  return all.slice((range?.from ?? 0) * inputs, range === undefined ? undefined : range.to * inputs);
}

/** The self-test's weights by their Hugging Face names; what enters layer 0 stands in for the embedding. */
function weights(name: string): ArrayLike<number> {
  const { heads, kvHeads, headSize, width, ffnWidth } = architecture;
  if (name === 'model.embed_tokens.weight') return selfTestHidden();
  if (name === 'model.norm.weight') return new Array<number>(width).fill(1);
  const [, layer, part] = /^model\.layers\.(\d+)\.(.+)$/.exec(name)!;
  const [q, kv] = [heads * headSize, kvHeads * headSize];
  const qkv: Record<string, { from: number; to: number }> = {
    q: { from: 0, to: q },
    k: { from: q, to: q + kv },
    v: { from: q + kv, to: q + 2 * kv },
  };
  const projection = /^self_attn\.([qkv])_proj\.(weight|bias)$/.exec(part);
  if (projection !== null) {
    return numbers(Number(layer), projection[2] === 'bias' ? 'qkv.bias' : 'qkv', qkv[projection[1]]);
  }
  const others: Record<string, () => number[]> = {
    'input_layernorm.weight': () => numbers(Number(layer), 'input_norm'),
    'post_attention_layernorm.weight': () => numbers(Number(layer), 'post_norm'),
    'self_attn.o_proj.weight': () => numbers(Number(layer), 'output'),
    'mlp.gate_proj.weight': () => numbers(Number(layer), 'gate_up', { from: 0, to: ffnWidth }),
    'mlp.up_proj.weight': () => numbers(Number(layer), 'gate_up', { from: ffnWidth, to: 2 * ffnWidth }),
    'mlp.down_proj.weight': () => numbers(Number(layer), 'down'),
  };
  return others[part]();
}

describe('the self-test', () => {
  it('knows the answers of the independent float64 reference', () => {
    const remembered = new Map<string, ArrayLike<number>>();
    const once = (name: string): ArrayLike<number> => {
      const known = remembered.get(name) ?? weights(name);
      remembered.set(name, known);
      return known;
    };
    const ids = Array.from({ length: selfTestPositions }, (_, position) => position);
    const { hidden } = referenceForward({ ...architecture, vocabulary: selfTestPositions }, once, ids);
    const answers = summarize(Float32Array.from(hidden[architecture.layers]), ids);
    const largest = Math.max(...answers.map(Math.abs));
    expect(selfTestAnswers).toHaveLength(answers.length);
    answers.forEach((answer, position) => {
      expect(Math.abs(answer - selfTestAnswers[position])).toBeLessThan((largest * limits.selfTestTolerance) / 10);
    });
  });

  it('covers more positions than wrong devices need to go wrong', () => {
    expect(selfTestAnswers.length).toBeGreaterThan(32);
  });

  it('refuses an answer that is too short, and one that is not a number', () => {
    expect(selfTestDifference(new Float32Array(architecture.width))).toBe(Infinity);
    expect(selfTestDifference(selfTestHidden().fill(NaN))).toBe(Infinity);
  });

  it('without memory for its session is a failed runtime, so that the next backend is tried', async () => {
    const full: Pick<SpanRunner, 'backend' | 'open'> = { backend: 'webgpu', open: async () => 'busy' };
    await expect(runSelfTest(full as SpanRunner)).rejects.toThrow(RuntimeFailedError);
  });
});
