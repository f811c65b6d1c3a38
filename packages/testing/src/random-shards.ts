/**
 * Models of any size with random weights, made shard by shard without a source folder: for benchmarks of speed and for
 * tests of transfer. Norms are near one and matrices keep the size of what they multiply, so hidden states stay finite.
 */
import type { Architecture, ShardId } from '@unfed/protocol';
import { halfBits, shardLayout, type Quantization, type TensorLayout } from '@unfed/model';
import { seededRandom, seedFrom } from './random.ts';

/** The shape of Qwen2.5-0.5B, as its config.json gives it. */
export const qwenHalfBillionShape: Architecture = {
  family: 'qwen2',
  layers: 24,
  width: 896,
  ffnWidth: 4864,
  heads: 14,
  kvHeads: 2,
  headSize: 64,
  vocabulary: 151_936,
  contextLength: 32_768,
  normEpsilon: 1e-6,
  ropeTheta: 1_000_000,
  ropeScaling: null,
  slidingWindow: null,
  qkvBias: true,
  outputBias: false,
  qkNorm: false,
  tiedEmbeddings: true,
};

export interface RandomModel {
  readonly architecture: Architecture;
  readonly quantization: Quantization;
  readonly seed: number;
}

/** @returns the bytes of one shard; the same for the same model, and made from nothing else */
export function randomShard({ architecture, quantization, seed }: RandomModel, id: ShardId): Uint8Array<ArrayBuffer> {
  const layout = shardLayout(architecture, quantization, id);
  const bytes = new Uint8Array(layout.bytes);
  for (const tensor of layout.tensors) {
    fillTensor(tensor, seededRandom(seedFrom(seed, `${id}/${tensor.name}`)), bytes);
  }
  return bytes;
}

function fillTensor({ name, kind, shape, offset, bytes }: TensorLayout, random: () => number, shard: Uint8Array): void {
  const view = new DataView(shard.buffer, offset, bytes);
  if (kind === 'int4') {
    const words = bytes >> 2;
    for (let i = 0; i < words; i++) view.setUint32(4 * i, random() * 2 ** 32, true);
  } else if (kind === 'f16') {
    // Levels are even over −8 … 7, a deviation of 4.6; blocks × 32 inputs.
    const scale = halfBits(1 / (4.6 * Math.sqrt((shape[1] ?? 1) * 32)));
    for (let i = 0; i < bytes / 2; i++) view.setUint16(2 * i, scale, true);
  } else {
    const [centre, spread] = name.endsWith('norm') ? [1, 0.1] : [0, Math.sqrt(3 / (shape[1] ?? 100))];
    for (let i = 0; i < bytes / 4; i++) view.setFloat32(4 * i, centre + spread * (2 * random() - 1), true);
  }
}
