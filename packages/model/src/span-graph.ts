/** The ONNX graph of any span, and of the head, from the architecture alone: no graph ever travels. */
import {
  embeddingShard,
  headShard,
  InvalidValueError,
  shardFileName,
  spanShards,
  type Architecture,
  type ShardId,
  type Span,
} from '@unfed/protocol';
import { dimensions, type Quantization } from './dimensions.ts';
import { GraphTooLargeError } from './errors.ts';
import { layerNodes, layerTensorNames, normNode, sequenceInputs, type LayerTensorNames } from './layer-nodes.ts';
import * as limits from './limits.ts';
import { matrixNode, padNode, shardTensor, type Exactness, type ShardSource } from './matrix-node.ts';
import { GraphWriter } from './onnx-writer.ts';
import { rotaryTables } from './rotary.ts';
import { shardLayout } from './shard-layout.ts';

/** A file that the graph's weights lie in, to be given to the session as `externalData: [{ path, data }]`. */
export interface ExternalFile {
  readonly path: string;
  readonly shard: ShardId;
}

export interface SpanGraphOptions extends Span {
  /** Positions that the rotary tables cover, and so the longest session. Default: the context, at most 4,096. */
  readonly positionsMax?: number;
  /** Default `float`. */
  readonly exactness?: Exactness;
}

/**
 * Inputs: `hidden` f32 [1, T, width]; for each layer `past_key_i`, `past_value_i` f32 [1, kvHeads, P, cacheHeadSize];
 * `seqlens_k` i32 [1] = total − 1; `total_sequence_length` i32 [1] = positions after the step.
 * Outputs: `hidden_out` f32 [1, T, width]; for each layer `present_key_i`, `present_value_i`.
 */
export interface SpanGraph {
  readonly model: Uint8Array<ArrayBuffer>;
  readonly externalFiles: readonly ExternalFile[];
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Names of the KV cache tensors, layer by layer of the span. */
  readonly caches: readonly LayerTensorNames[];
  /** Head size in the caches: the model's own, rounded up to a multiple of 16. */
  readonly cacheHeadSize: number;
  readonly positionsMax: number;
}

/** Input `hidden` f32 [R, width]; output `logits` f32 [R, vocabulary]. The final norm is within. */
export interface HeadGraph {
  readonly model: Uint8Array<ArrayBuffer>;
  readonly externalFiles: readonly ExternalFile[];
  readonly inputs: readonly ['hidden'];
  readonly outputs: readonly ['logits'];
}

/**
 * @throws InvalidValueError for a span or positions outside the model
 * @throws GraphTooLargeError above `limits.graphBytesMax`
 */
export function spanGraph(
  architecture: Architecture,
  quantization: Quantization,
  { first, last, exactness = 'float', ...options }: SpanGraphOptions,
): SpanGraph {
  checkSpan(architecture, { first, last });
  const positionsMax = options.positionsMax ?? Math.min(architecture.contextLength, limits.positionsDefaultMax);
  const { headSize } = dimensions(architecture, quantization);
  checkPositions(architecture, positionsMax, headSize);
  const graph = new GraphWriter();
  let hidden = graph.input('hidden', 'f32', [1, 'positions', architecture.width]);
  const caches = Array.from({ length: last - first }, (_, i) => layerTensorNames(first + i));
  const past = [1, architecture.kvHeads, 'past_positions', headSize] as const;
  const present = [1, architecture.kvHeads, 'present_positions', headSize] as const;
  for (const cache of caches) {
    graph.input(cache.pastKey, 'f32', past);
    graph.input(cache.pastValue, 'f32', past);
  }
  graph.input(sequenceInputs.seqlens, 'i32', [1]);
  graph.input(sequenceInputs.total, 'i32', [1]);
  const tables = rotaryTables(architecture, positionsMax, headSize);
  const shape = [positionsMax, tables.halfSize];
  const cos = graph.floats('rotary_cos', shape, tables.cos);
  const sin = graph.floats('rotary_sin', shape, tables.sin);
  const context = { architecture, quantization, exactness, cos, sin };
  for (let layer = first; layer < last; layer++) {
    hidden = layerNodes(graph, context, { layer, hidden, ...(layer === last - 1 ? { output: 'hidden_out' } : {}) });
  }
  graph.output('hidden_out', 'f32', [1, 'positions', architecture.width]);
  for (const cache of caches) {
    graph.output(cache.presentKey, 'f32', present);
    graph.output(cache.presentValue, 'f32', present);
  }
  return {
    model: graph.finish(`layers ${first} to ${last - 1}`),
    externalFiles: spanShards({ first, last }).map(externalFile),
    inputs: ['hidden', ...caches.flatMap((c) => [c.pastKey, c.pastValue]), ...Object.values(sequenceInputs)],
    outputs: ['hidden_out', ...caches.flatMap((c) => [c.presentKey, c.presentValue])],
    caches,
    cacheHeadSize: headSize,
    positionsMax,
  };
}

/** With tied embeddings the head multiplies by the embedding shard's own bytes. */
export function headGraph(
  architecture: Architecture,
  quantization: Quantization,
  { exactness = 'float' }: { readonly exactness?: Exactness } = {},
): HeadGraph {
  const source = (id: ShardId): ShardSource => ({
    id,
    layout: shardLayout(architecture, quantization, id),
    quantization,
    exactness,
  });
  const graph = new GraphWriter();
  const hidden = graph.input('hidden', 'f32', ['rows', architecture.width]);
  const normed = normNode(graph, hidden, {
    weight: shardTensor(graph, source(headShard), 'norm'),
    epsilon: architecture.normEpsilon,
  });
  const sizePadded = dimensions(architecture, quantization).widthInputs;
  const input = padNode(graph, normed, { size: architecture.width, sizePadded });
  const matrix = architecture.tiedEmbeddings ? embeddingShard : headShard;
  const logits = matrixNode(graph, source(matrix), { name: matrix, input });
  graph.node('Identity', [logits], { outputs: ['logits'] });
  graph.output('logits', 'f32', ['rows', architecture.vocabulary]);
  return {
    model: graph.finish('head'),
    externalFiles: [...new Set([headShard, matrix])].map(externalFile),
    inputs: ['hidden'],
    outputs: ['logits'],
  };
}

function externalFile(shard: ShardId): ExternalFile {
  return { path: shardFileName(shard), shard };
}

function checkSpan({ layers }: Architecture, { first, last }: Span): void {
  if (Number.isSafeInteger(first) && Number.isSafeInteger(last) && 0 <= first && first < last && last <= layers) return;
  throw new InvalidValueError('span', `layers within [0, ${layers})`, `[${first}, ${last})`);
}

/** Before the tables are computed: they may be most of the graph. */
function checkPositions({ contextLength }: Architecture, positionsMax: number, headSize: number): void {
  if (!Number.isSafeInteger(positionsMax) || positionsMax < 1 || positionsMax > contextLength) {
    throw new InvalidValueError('positionsMax', `1 to ${contextLength}, the model's context`, String(positionsMax));
  }
  const tableBytes = 2 * 4 * positionsMax * (headSize / 2);
  if (tableBytes > limits.graphBytesMax) throw new GraphTooLargeError(tableBytes, limits.graphBytesMax);
}
