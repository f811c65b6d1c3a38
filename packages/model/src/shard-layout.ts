/**
 * Where each tensor lies in a shard, from the architecture alone: a shard's bytes are its tensors' bytes in the layout
 * that kernels read, so loading is mapping. q, k and v are stacked in one matrix, gate and up in another: one kernel call
 * reads them at once.
 */
import {
  embeddingShard,
  headShard,
  InvalidValueError,
  type Architecture,
  type Manifest,
  type ShardId,
} from '@unfed/protocol';
import { blockBytes, blockInputs, dimensions, roundUp, type Dimensions, type Quantization } from './dimensions.ts';
import { ManifestSizeError } from './errors.ts';

/** int4: two levels a byte, `[rows, blocks, 16]`. f16: scales, `[rows, blocks]`. f32: everything that is not rounded. */
export type TensorKind = 'int4' | 'f16' | 'f32';

export interface TensorLayout {
  readonly name: string;
  readonly kind: TensorKind;
  readonly shape: readonly number[];
  /** From the shard's start; a multiple of 64. */
  readonly offset: number;
  readonly bytes: number;
}

export interface ShardLayout {
  readonly bytes: number;
  readonly tensors: readonly TensorLayout[];
}

const alignmentBytes = 64;
const elementBytes = { int4: 1, f16: 2, f32: 4 } as const;

/** Collects tensors, each at the next aligned offset. */
class LayoutBuilder {
  readonly #tensors: TensorLayout[] = [];
  readonly #quantization: Quantization;
  #bytes = 0;

  constructor(quantization: Quantization) {
    this.#quantization = quantization;
  }

  add(name: string, kind: TensorKind, shape: readonly number[]): void {
    const offset = roundUp(this.#bytes, alignmentBytes);
    const bytes = shape.reduce((product, size) => product * size, elementBytes[kind]);
    this.#tensors.push({ name, kind, shape, offset, bytes });
    this.#bytes = offset + bytes;
  }

  /** A matrix of `rows` outputs and `inputs` inputs: levels and scales in int4, else floats. */
  matrix(name: string, rows: number, inputs: number): void {
    if (this.#quantization === 'none') {
      this.add(`${name}.weight`, 'f32', [rows, inputs]);
      return;
    }
    const blocks = Math.ceil(inputs / blockInputs);
    this.add(`${name}.weight`, 'int4', [rows, blocks, blockBytes]);
    this.add(`${name}.scales`, 'f16', [rows, blocks]);
  }

  done(): ShardLayout {
    return { bytes: this.#bytes, tensors: this.#tensors };
  }
}

/**
 * @param shardId `embedding`, `head` or `layer-N`
 * @returns the tensors in the order of their offsets; `bytes` is the end of the last
 * @throws InvalidValueError for a layer that the architecture does not have
 */
export function shardLayout(architecture: Architecture, quantization: Quantization, shardId: ShardId): ShardLayout {
  const builder = new LayoutBuilder(quantization);
  const sizes = dimensions(architecture, quantization);
  if (shardId === embeddingShard) {
    builder.matrix('embedding', architecture.vocabulary, sizes.widthInputs);
  } else if (shardId === headShard) {
    builder.add('norm', 'f32', [architecture.width]);
    if (!architecture.tiedEmbeddings) builder.matrix('head', architecture.vocabulary, sizes.widthInputs);
  } else {
    checkLayer(architecture, shardId);
    addLayer(builder, architecture, sizes);
  }
  return builder.done();
}

function addLayer(builder: LayoutBuilder, architecture: Architecture, sizes: Dimensions): void {
  const { width } = architecture;
  builder.add('input_norm', 'f32', [width]);
  builder.matrix('qkv', sizes.qkvRows, sizes.widthInputs);
  if (architecture.qkvBias) builder.add('qkv.bias', 'f32', [sizes.qkvRows]);
  if (architecture.qkNorm) {
    builder.add('q_norm', 'f32', [sizes.headSize]);
    builder.add('k_norm', 'f32', [sizes.headSize]);
  }
  builder.matrix('output', width, sizes.attentionInputs);
  if (architecture.outputBias) builder.add('output.bias', 'f32', [width]);
  builder.add('post_norm', 'f32', [width]);
  builder.matrix('gate_up', 2 * sizes.ffnInputs, sizes.widthInputs);
  builder.matrix('down', width, sizes.ffnInputs);
}

function checkLayer(architecture: Architecture, shardId: ShardId): void {
  const layer = Number(/^layer-(\d+)$/.exec(shardId)?.[1] ?? Number.NaN);
  if (!(layer < architecture.layers)) {
    throw new InvalidValueError('shard', `embedding, head or layer-0 to layer-${architecture.layers - 1}`, shardId);
  }
}

/** @throws InvalidValueError when the shard has no such tensor */
export function tensorIn(layout: ShardLayout, name: string): TensorLayout {
  const tensor = layout.tensors.find((candidate) => candidate.name === name);
  if (tensor === undefined) {
    throw new InvalidValueError('tensor', `one of ${layout.tensors.map((t) => t.name).join(', ')}`, name);
  }
  return tensor;
}

/**
 * A manifest must give every shard the size that follows from its architecture: nobody fetches more than that, and no
 * graph reads beyond a shard's end.
 * @throws ManifestSizeError for the first shard that differs
 */
export function checkManifestSizes(manifest: Manifest): void {
  for (const shard of manifest.shards) {
    const { bytes } = shardLayout(manifest.architecture, manifest.quantization, shard.id);
    if (bytes !== shard.bytes) throw new ManifestSizeError(shard.id, bytes, shard.bytes);
  }
}
