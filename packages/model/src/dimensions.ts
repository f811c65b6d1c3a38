/**
 * The sizes that kernels compute with, where they differ from the model's own. GroupQueryAttention rotates heads whose
 * size is a multiple of 16; MatMulNBits reads inputs in blocks of 32. What is added is zeros, so no result changes.
 */
import type { Architecture, Manifest } from '@unfed/protocol';

export type Quantization = Manifest['quantization'];

/** Inputs that share one scale. */
export const blockInputs = 32;
/** Bytes of one block's levels: 32 of 4 bits. */
export const blockBytes = blockInputs / 2;
const headSizeMultiple = 16;

export interface Dimensions {
  /** Head size in projections and KV caches. */
  readonly headSize: number;
  /** Rows of the stacked q, k and v projection. */
  readonly qkvRows: number;
  /** Numbers that attention puts out: heads × headSize. */
  readonly attention: number;
  /** Inputs of matrices that take hidden states, attention and ffn. */
  readonly widthInputs: number;
  readonly attentionInputs: number;
  readonly ffnInputs: number;
}

export function dimensions(architecture: Architecture, quantization: Quantization): Dimensions {
  const inputs = (count: number) => (quantization === 'int4' ? roundUp(count, blockInputs) : count);
  const headSize = roundUp(architecture.headSize, headSizeMultiple);
  const attention = architecture.heads * headSize;
  return {
    headSize,
    qkvRows: attention + 2 * architecture.kvHeads * headSize,
    attention,
    widthInputs: inputs(architecture.width),
    attentionInputs: inputs(attention),
    ffnInputs: inputs(architecture.ffnWidth),
  };
}

export function roundUp(count: number, multiple: number): number {
  return Math.ceil(count / multiple) * multiple;
}

/**
 * Where number `i` of a head stands in a padded head: both rotary halves are padded, so that rotation still pairs
 * number `i` of the first half with number `i` of the second.
 */
export function paddedHeadIndex(i: number, headSize: number, headSizePadded: number): number {
  const half = headSize / 2;
  return i < half ? i : headSizePadded / 2 + (i - half);
}
