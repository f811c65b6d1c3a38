/** The node that multiplies by one matrix of a shard: MatMulNBits for int4, MatMul for floats. */
import { shardFileName, type ShardId } from '@unfed/protocol';
import { blockBytes, blockInputs, type Quantization } from './dimensions.ts';
import type { GraphWriter } from './onnx-writer.ts';
import { tensorIn, type ShardLayout, type TensorLayout } from './shard-layout.ts';

/**
 * How activations are multiplied with int4 weights. `float`: exactly. `int8`: activations rounded to 8 bits first, two to
 * three times faster on CPUs and less exact (ORT's accuracy_level 4).
 */
export type Exactness = 'float' | 'int8';

/** One shard, as the graph refers to it. */
export interface ShardSource {
  readonly id: ShardId;
  readonly layout: ShardLayout;
  readonly quantization: Quantization;
  readonly exactness: Exactness;
}

/** Consecutive rows of a stacked matrix. */
export interface Rows {
  readonly from: number;
  readonly count: number;
}

/** A whole tensor of a shard, f32, by the name it has in the shard. */
export function shardTensor(graph: GraphWriter, shard: ShardSource, name: string): string {
  const { shape, offset, bytes } = tensorIn(shard.layout, name);
  return graph.external(`${shard.id}/${name}`, { type: 'f32', shape, file: shardFileName(shard.id), offset, bytes });
}

/**
 * @param name the matrix within its shard, e.g. `qkv`
 * @param input `[…, inputs]`, as wide as the matrix is stored
 * @returns `[…, rows]`
 */
export function matrixNode(
  graph: GraphWriter,
  shard: ShardSource,
  { name, input, rows }: { name: string; input: string; rows?: Rows },
): string {
  const weight = tensorIn(shard.layout, `${name}.weight`);
  const part = rows ?? { from: 0, count: weight.shape[0] };
  const weights = rowsOf(graph, shard, { tensor: weight, rows: part });
  if (shard.quantization === 'none') {
    const transposed = graph.node('Transpose', [weights], { attributes: { perm: [1, 0] } });
    return graph.node('MatMul', [input, transposed]);
  }
  const scales = rowsOf(graph, shard, { tensor: tensorIn(shard.layout, `${name}.scales`), rows: part });
  const scalesFloat = graph.node('Cast', [scales], { attributes: { to: 1 } });
  return graph.node('MatMulNBits', [input, weights, scalesFloat], {
    microsoft: true,
    attributes: {
      K: (weight.bytes / weight.shape[0] / blockBytes) * blockInputs,
      N: part.count,
      bits: 4,
      block_size: blockInputs,
      accuracy_level: shard.exactness === 'float' ? 0 : 4,
    },
  });
}

function rowsOf(
  graph: GraphWriter,
  shard: ShardSource,
  { tensor, rows }: { tensor: TensorLayout; rows: Rows },
): string {
  const rowBytes = tensor.bytes / tensor.shape[0];
  const type = { int4: 'u8', f16: 'f16', f32: 'f32' } as const;
  return graph.external(`${shard.id}/${tensor.name}[${rows.from}]`, {
    type: type[tensor.kind],
    shape: [rows.count, ...tensor.shape.slice(1)],
    file: shardFileName(shard.id),
    offset: tensor.offset + rows.from * rowBytes,
    bytes: rows.count * rowBytes,
  });
}

/** Widens the last axis with zeros from `size` to `sizePadded`; nothing where both are equal. */
export function padNode(graph: GraphWriter, input: string, sizes: { size: number; sizePadded: number }): string {
  const missing = sizes.sizePadded - sizes.size;
  if (missing === 0) return input;
  return graph.node('Pad', [input, graph.integers(0, missing), '', graph.integers(-1)]);
}
