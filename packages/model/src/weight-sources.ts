/**
 * Which tensors of a Hugging Face checkpoint go into which tensor of a shard, and where: stacked, and with the zeros
 * that kernels want between.
 */
import { embeddingShard, headShard, type Architecture, type ShardId } from '@unfed/protocol';
import { dimensions, paddedHeadIndex, type Quantization } from './dimensions.ts';

/** A source matrix `[rows, columns]` and the place of each row and column in the shard's matrix. */
export interface MatrixSource {
  readonly source: string;
  readonly rows: number;
  readonly columns: number;
  /** Rising with the row. */
  readonly targetRow: (row: number) => number;
  readonly targetColumn: (column: number) => number;
}

/** A source vector, the place of each number, and what it is multiplied with. */
export interface VectorSource {
  readonly source: string;
  readonly length: number;
  readonly target: (i: number) => number;
  readonly factor: number;
}

export interface ShardSources {
  /** By the names of the shard's matrices, without `.weight`. */
  readonly matrices: ReadonlyMap<string, readonly MatrixSource[]>;
  /** By the names of the shard's f32 vectors. */
  readonly vectors: ReadonlyMap<string, readonly VectorSource[]>;
}

const same = (i: number) => i;

function vector(source: string, length: number, place: Partial<VectorSource> = {}): VectorSource {
  return { source, length, target: same, factor: 1, ...place };
}

/** @param shardId one of the architecture's */
export function shardSources(architecture: Architecture, quantization: Quantization, shardId: ShardId): ShardSources {
  const { vocabulary, width } = architecture;
  const wordMatrix = (source: string): MatrixSource => ({
    source,
    rows: vocabulary,
    columns: width,
    targetRow: same,
    targetColumn: same,
  });
  if (shardId === embeddingShard) {
    return { matrices: new Map([['embedding', [wordMatrix('model.embed_tokens.weight')]]]), vectors: new Map() };
  }
  if (shardId === headShard) {
    const head: [string, MatrixSource[]][] = architecture.tiedEmbeddings
      ? []
      : [['head', [wordMatrix('lm_head.weight')]]];
    return { matrices: new Map(head), vectors: new Map([['norm', [vector('model.norm.weight', width)]]]) };
  }
  const prefix = `model.layers.${shardId.slice('layer-'.length)}`;
  return {
    matrices: layerMatrices(architecture, quantization, prefix),
    vectors: layerVectors(architecture, quantization, prefix),
  };
}

interface HeadRun {
  readonly part: 'q' | 'k' | 'v';
  readonly heads: number;
  /** First row in the stacked projection. */
  readonly from: number;
}

function headRuns({ heads, kvHeads }: Architecture, headSizePadded: number): HeadRun[] {
  return [
    { part: 'q', heads, from: 0 },
    { part: 'k', heads: kvHeads, from: heads * headSizePadded },
    { part: 'v', heads: kvHeads, from: (heads + kvHeads) * headSizePadded },
  ];
}

/** Where number `i` of heads that lie one after another stands when every head is padded. */
function inPaddedHeads(headSize: number, headSizePadded: number): (i: number) => number {
  return (i) => Math.floor(i / headSize) * headSizePadded + paddedHeadIndex(i % headSize, headSize, headSizePadded);
}

function layerMatrices(
  architecture: Architecture,
  quantization: Quantization,
  prefix: string,
): Map<string, MatrixSource[]> {
  const { width, ffnWidth, headSize, heads } = architecture;
  const sizes = dimensions(architecture, quantization);
  const padded = inPaddedHeads(headSize, sizes.headSize);
  const matrix = (name: string, rows: number, place: Partial<MatrixSource> = {}): MatrixSource => ({
    source: `${prefix}.${name}.weight`,
    rows,
    columns: width,
    targetRow: same,
    targetColumn: same,
    ...place,
  });
  const qkv = headRuns(architecture, sizes.headSize).map(({ part, heads: count, from }) =>
    matrix(`self_attn.${part}_proj`, count * headSize, { targetRow: (row) => from + padded(row) }),
  );
  return new Map([
    ['qkv', qkv],
    ['output', [matrix('self_attn.o_proj', width, { columns: heads * headSize, targetColumn: padded })]],
    [
      'gate_up',
      [
        matrix('mlp.gate_proj', ffnWidth),
        matrix('mlp.up_proj', ffnWidth, { targetRow: (row) => sizes.ffnInputs + row }),
      ],
    ],
    ['down', [matrix('mlp.down_proj', width, { columns: ffnWidth })]],
  ]);
}

function layerVectors(
  architecture: Architecture,
  quantization: Quantization,
  prefix: string,
): Map<string, VectorSource[]> {
  const { width, headSize } = architecture;
  const sizes = dimensions(architecture, quantization);
  const padded = inPaddedHeads(headSize, sizes.headSize);
  const vectors = new Map([
    ['input_norm', [vector(`${prefix}.input_layernorm.weight`, width)]],
    ['post_norm', [vector(`${prefix}.post_attention_layernorm.weight`, width)]],
  ]);
  if (architecture.qkvBias) {
    const biases = headRuns(architecture, sizes.headSize).map(({ part, heads, from }) =>
      vector(`${prefix}.self_attn.${part}_proj.bias`, heads * headSize, { target: (i) => from + padded(i) }),
    );
    vectors.set('qkv.bias', biases);
  }
  if (architecture.outputBias) vectors.set('output.bias', [vector(`${prefix}.self_attn.o_proj.bias`, width)]);
  if (architecture.qkNorm) {
    const place = { target: padded, factor: Math.sqrt(headSize / sizes.headSize) };
    vectors.set('q_norm', [vector(`${prefix}.self_attn.q_norm.weight`, headSize, place)]);
    vectors.set('k_norm', [vector(`${prefix}.self_attn.k_norm.weight`, headSize, place)]);
  }
  return vectors;
}
