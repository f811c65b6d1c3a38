/** Weights by a fixed seed, the same everywhere: what the self-test and the comparison of backends compute with. */
import { shardLayout, type TensorLayout } from '@unfed/model';
import type { Architecture, ShardId } from '@unfed/protocol';

/** Mulberry32 (Tommy Ettinger, public domain): 32 bits of state, enough for weights. @returns numbers in [0, 1) */
export function seededNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** 2⁻⁵ as binary16: levels of −8 to 7 become weights of at most a quarter. */
const scaleBits = 0x2800;

/** An int4 shard: random levels, one scale, norms about 1, biases about 0. */
export function randomShard(architecture: Architecture, id: ShardId): Uint8Array {
  const next = seededNumbers([...id].reduce((seed, char) => Math.imul(seed, 31) + char.charCodeAt(0), 7));
  const { bytes, tensors } = shardLayout(architecture, 'int4', id);
  const shard = new Uint8Array(bytes);
  for (const tensor of tensors) fillTensor(shard, tensor, next);
  return shard;
}

function fillTensor(shard: Uint8Array, { name, kind, offset, bytes }: TensorLayout, next: () => number): void {
  const view = new DataView(shard.buffer, shard.byteOffset + offset, bytes);
  const middle = name.endsWith('bias') ? 0 : 1;
  if (kind === 'int4') {
    for (let at = 0; at < bytes; at++) view.setUint8(at, next() * 256);
  } else if (kind === 'f16') {
    for (let at = 0; at < bytes; at += 2) view.setUint16(at, scaleBits, true);
  } else {
    for (let at = 0; at < bytes; at += 4) view.setFloat32(at, middle + (next() - 0.5) / 4, true);
  }
}

/** `[tokens, width]`, in [−1, 1). */
export function randomHidden(tokens: number, width: number, seed: number): Float32Array {
  const next = seededNumbers(seed);
  return Float32Array.from({ length: tokens * width }, () => 2 * next() - 1);
}
