/** Hidden states that enter layer 0: rows of the embedding, read by plain code because not every runtime has a kernel for it. */
import { embeddingShard, InvalidValueError, type Architecture } from '@unfed/protocol';
import type { Quantization } from './dimensions.ts';
import { unpackRow } from './int4.ts';
import { shardLayout, tensorIn } from './shard-layout.ts';

/** The model that an embedding shard belongs to. */
export interface EmbeddingOf {
  readonly architecture: Architecture;
  readonly quantization: Quantization;
}

/**
 * @param shardBytes the whole embedding shard
 * @param ids tokens
 * @returns f32 `[ids.length, width]`
 * @throws InvalidValueError for a token outside the vocabulary, or a shard of another size than the architecture's
 */
export function embeddingRows(
  { architecture, quantization }: EmbeddingOf,
  shardBytes: Uint8Array,
  ids: readonly number[],
): Float32Array {
  const layout = shardLayout(architecture, quantization, embeddingShard);
  if (shardBytes.byteLength !== layout.bytes) {
    throw new InvalidValueError('embedding shard', `${layout.bytes} bytes`, `${shardBytes.byteLength} bytes`);
  }
  const { width, vocabulary } = architecture;
  const weight = tensorIn(layout, 'embedding.weight');
  const rowBytes = weight.bytes / vocabulary;
  const rowOf = (id: number) => shardBytes.subarray(weight.offset + id * rowBytes, weight.offset + (id + 1) * rowBytes);
  const readRow = quantization === 'int4' ? packedReader(layoutScales(), shardBytes, rowOf) : floatReader(rowOf, width);
  const hidden = new Float32Array(ids.length * width);
  ids.forEach((id, i) => {
    if (!Number.isSafeInteger(id) || id < 0 || id >= vocabulary) {
      throw new InvalidValueError('token', `0 to ${vocabulary - 1}`, String(id));
    }
    hidden.set(readRow(id).subarray(0, width), i * width);
  });
  return hidden;

  function layoutScales() {
    const { offset, shape } = tensorIn(layout, 'embedding.scales');
    return { offset, blocks: shape[1] };
  }
}

function packedReader(
  { offset, blocks }: { offset: number; blocks: number },
  shardBytes: Uint8Array,
  rowOf: (id: number) => Uint8Array,
): (id: number) => Float32Array {
  const view = new DataView(shardBytes.buffer, shardBytes.byteOffset, shardBytes.byteLength);
  const row = new Float32Array(blocks * 32);
  const scales = new Uint16Array(blocks);
  return (id) => {
    for (let block = 0; block < blocks; block++)
      scales[block] = view.getUint16(offset + 2 * (id * blocks + block), true);
    unpackRow({ levels: rowOf(id), scales }, row);
    return row;
  };
}

function floatReader(rowOf: (id: number) => Uint8Array, width: number): (id: number) => Float32Array {
  const row = new Float32Array(width);
  return (id) => {
    const bytes = rowOf(id);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < width; i++) row[i] = view.getFloat32(4 * i, true);
    return row;
  };
}
