/**
 * The nodes of one transformer layer: norm, grouped attention with rotation, residual, norm, gated ffn, residual.
 * Every operator is written out as the kernels have it, and a layer ends with its own addition, so that a graph of
 * several layers computes exactly what graphs of one layer compute after each other.
 */
import { layerShard, type Architecture } from '@unfed/protocol';
import { dimensions, type Quantization } from './dimensions.ts';
import { matrixNode, padNode, shardTensor, type Exactness, type ShardSource } from './matrix-node.ts';
import type { GraphWriter } from './onnx-writer.ts';
import { shardLayout } from './shard-layout.ts';

export interface LayerContext {
  readonly architecture: Architecture;
  readonly quantization: Quantization;
  readonly exactness: Exactness;
  /** Names of the rotary tables in the graph. */
  readonly cos: string;
  readonly sin: string;
}

export interface LayerTensorNames {
  readonly pastKey: string;
  readonly pastValue: string;
  readonly presentKey: string;
  readonly presentValue: string;
}

/** @returns the names under which a layer's KV cache enters and leaves a graph; `layer` counts from the model's first */
export function layerTensorNames(layer: number): LayerTensorNames {
  return {
    pastKey: `past_key_${layer}`,
    pastValue: `past_value_${layer}`,
    presentKey: `present_key_${layer}`,
    presentValue: `present_value_${layer}`,
  };
}

export const sequenceInputs = { seqlens: 'seqlens_k', total: 'total_sequence_length' } as const;

/**
 * @param hidden `[1, T, width]`
 * @returns the hidden states after the layer, named `output` where given
 */
export function layerNodes(
  graph: GraphWriter,
  context: LayerContext,
  { layer, hidden, output }: { layer: number; hidden: string; output?: string },
): string {
  const { architecture, quantization, exactness } = context;
  const id = layerShard(layer);
  const shard: ShardSource = { id, layout: shardLayout(architecture, quantization, id), quantization, exactness };
  const sizes = dimensions(architecture, quantization);

  const normed = normNode(graph, hidden, {
    weight: shardTensor(graph, shard, 'input_norm'),
    epsilon: architecture.normEpsilon,
  });
  const attention = attentionNodes(graph, context, { shard, layer, normed });
  const middle = graph.node(
    'SkipSimplifiedLayerNormalization',
    [attention, hidden, shardTensor(graph, shard, 'post_norm')],
    {
      microsoft: true,
      attributes: { epsilon: { float: architecture.normEpsilon } },
      outputs: [`${id}/ffn_input`, '', '', `${id}/residual`],
    },
  );
  const input = padNode(graph, middle, { size: architecture.width, sizePadded: sizes.widthInputs });
  const gate = matrixNode(graph, shard, { name: 'gate_up', input, rows: { from: 0, count: sizes.ffnInputs } });
  const up = matrixNode(graph, shard, {
    name: 'gate_up',
    input,
    rows: { from: sizes.ffnInputs, count: sizes.ffnInputs },
  });
  const silu = graph.node('Mul', [gate, graph.node('Sigmoid', [gate])]);
  const down = matrixNode(graph, shard, { name: 'down', input: graph.node('Mul', [silu, up]) });
  return graph.node('Add', [`${id}/residual`, down], output === undefined ? {} : { outputs: [output] });
}

function attentionNodes(
  graph: GraphWriter,
  { architecture, quantization, cos, sin }: LayerContext,
  { shard, layer, normed }: { shard: ShardSource; layer: number; normed: string },
): string {
  const sizes = dimensions(architecture, quantization);
  const input = padNode(graph, normed, { size: architecture.width, sizePadded: sizes.widthInputs });
  let projected = matrixNode(graph, shard, { name: 'qkv', input });
  if (architecture.qkvBias) projected = graph.node('Add', [projected, shardTensor(graph, shard, 'qkv.bias')]);
  const queryKeyValue = architecture.qkNorm
    ? normedHeads(graph, architecture, { shard, projected, headSize: sizes.headSize })
    : [projected, '', ''];
  const names = layerTensorNames(layer);
  const window = architecture.slidingWindow;
  const attended = graph.node(
    'GroupQueryAttention',
    [...queryKeyValue, names.pastKey, names.pastValue, sequenceInputs.seqlens, sequenceInputs.total, cos, sin],
    {
      microsoft: true,
      outputs: [`${shard.id}/attention`, names.presentKey, names.presentValue],
      attributes: {
        num_heads: architecture.heads,
        kv_num_heads: architecture.kvHeads,
        do_rotary: 1,
        scale: { float: 1 / Math.sqrt(architecture.headSize) },
        ...(window === null ? {} : { local_window_size: window }),
      },
    },
  );
  const padded = padNode(graph, attended, { size: sizes.attention, sizePadded: sizes.attentionInputs });
  const output = matrixNode(graph, shard, { name: 'output', input: padded });
  return architecture.outputBias ? graph.node('Add', [output, shardTensor(graph, shard, 'output.bias')]) : output;
}

/**
 * q, k and v apart, q and k normed head by head. A padded head has the same sum of squares over more numbers: the
 * smaller epsilon here and the smaller weights in the shard (by √(size / padded size)) undo that.
 */
function normedHeads(
  graph: GraphWriter,
  architecture: Architecture,
  { shard, projected, headSize }: { shard: ShardSource; projected: string; headSize: number },
): string[] {
  const counts = { q: architecture.heads, k: architecture.kvHeads, v: architecture.kvHeads };
  const parts = Object.keys(counts).map((part) => `${shard.id}/${part}`);
  const sizes = graph.integers(...Object.values(counts).map((count) => count * headSize));
  graph.node('Split', [projected, sizes], { outputs: parts, attributes: { axis: -1 } });
  const [query = '', key = '', value = ''] = parts;
  const epsilon = (architecture.normEpsilon * architecture.headSize) / headSize;
  const normHeads = (part: string, heads: number, weight: string) => {
    const byHead = graph.node('Reshape', [part, graph.integers(0, 0, heads, headSize)]);
    const normed = normNode(graph, byHead, { weight: shardTensor(graph, shard, weight), epsilon });
    return graph.node('Reshape', [normed, graph.integers(0, 0, heads * headSize)]);
  };
  return [normHeads(query, counts.q, 'q_norm'), normHeads(key, counts.k, 'k_norm'), value];
}

/** RMS norm over the last axis (https://arxiv.org/abs/1910.07467). */
export function normNode(graph: GraphWriter, input: string, norm: { weight: string; epsilon: number }): string {
  return graph.node('SimplifiedLayerNormalization', [input, norm.weight], {
    attributes: { axis: -1, epsilon: { float: norm.epsilon }, stash_type: 1 },
  });
}
