/**
 * Writes one shard from a checkpoint: rows are read in blocks, rounded, and written to their places. What no row is
 * written to stays zero, in weights and scales alike.
 */
import { open, type FileHandle } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { limits as protocolLimits, type Architecture, type ShardId } from '@unfed/protocol';
import type { Checkpoint } from './checkpoint.node.ts';
import type { Quantization } from './dimensions.ts';
import { packRow } from './int4.ts';
import * as limits from './limits.ts';
import { shardLayout, tensorIn, type ShardLayout, type TensorLayout } from './shard-layout.ts';
import { shardSources, type MatrixSource, type VectorSource } from './weight-sources.ts';

export interface ShardJob {
  readonly architecture: Architecture;
  readonly quantization: Quantization;
  readonly checkpoint: Checkpoint;
  readonly id: ShardId;
  readonly path: string;
  /** Bytes of the shard that were written since the last call. */
  readonly onBytes?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * The file is on disk (fsync) when this resolves.
 * @returns size and SHA-256 of every chunk, of what was read back from the file
 * @throws ModelFolderError, DecodeError, InvalidValueError
 */
export async function writeShard(job: ShardJob): Promise<{ bytes: number; chunks: Uint8Array[] }> {
  const layout = shardLayout(job.architecture, job.quantization, job.id);
  const sources = shardSources(job.architecture, job.quantization, job.id);
  const file = await open(job.path, 'w+');
  try {
    await file.truncate(layout.bytes);
    for (const [name, parts] of sources.vectors) {
      await writeVector(job, file, { tensor: tensorIn(layout, name), parts });
    }
    for (const [name, parts] of sources.matrices) {
      for (const part of parts) await writeMatrix(job, file, { layout, name, part });
    }
    await file.sync();
    return { bytes: layout.bytes, chunks: await hashChunks(file, layout.bytes) };
  } finally {
    await file.close();
  }
}

async function writeVector(
  { checkpoint, onBytes }: ShardJob,
  file: FileHandle,
  { tensor, parts }: { tensor: TensorLayout; parts: readonly VectorSource[] },
): Promise<void> {
  const values = new Float32Array(tensor.bytes / 4);
  for (const { source, length, target, factor } of parts) {
    checkpoint.check(source, [length]);
    const read = await checkpoint.read(source, 0, length);
    read.forEach((value, i) => {
      values[target(i)] = value * factor;
    });
  }
  await writeAll(file, floatBytes(values), tensor.offset);
  onBytes?.(tensor.bytes);
}

interface MatrixPlace {
  readonly layout: ShardLayout;
  readonly name: string;
  readonly part: MatrixSource;
}

async function writeMatrix(job: ShardJob, file: FileHandle, { layout, name, part }: MatrixPlace): Promise<void> {
  const { checkpoint, onBytes, signal } = job;
  checkpoint.check(part.source, [part.rows, part.columns]);
  const tensors = [`${name}.weight`, ...(job.quantization === 'int4' ? [`${name}.scales`] : [])];
  const places = tensors.map((tensor) => placeOf(tensorIn(layout, tensor)));
  const rowsAtOnce = Math.max(1, Math.floor(limits.rowBlockBytesMax / (4 * part.columns)));
  for (let from = 0; from < part.rows; from += rowsAtOnce) {
    signal?.throwIfAborted();
    const count = Math.min(rowsAtOnce, part.rows - from);
    const values = await checkpoint.read(part.source, from, count);
    const first = part.targetRow(from);
    const rows = part.targetRow(from + count - 1) - first + 1;
    const [weights, scales] = places.map(({ rowBytes }) => new RowBlock(rows, rowBytes));
    for (let row = 0; row < count; row++) {
      const source = values.subarray(row * part.columns, (row + 1) * part.columns);
      const target = part.targetRow(from + row) - first;
      writeRow(moved(source, part), weights.row(target), scales?.row(target));
    }
    for (const [i, { bytes }] of [weights, scales].filter((block) => block !== undefined).entries()) {
      await writeAll(file, bytes, places[i].offset + first * places[i].rowBytes);
      onBytes?.(count * places[i].rowBytes);
    }
  }
}

/** Consecutive rows of a tensor; those not written stay zero. */
class RowBlock {
  readonly bytes: Uint8Array;
  readonly #rowBytes: number;

  constructor(rows: number, rowBytes: number) {
    this.bytes = new Uint8Array(rows * rowBytes);
    this.#rowBytes = rowBytes;
  }

  row(index: number): Uint8Array {
    return this.bytes.subarray(index * this.#rowBytes, (index + 1) * this.#rowBytes);
  }
}

function placeOf({ offset, bytes, shape }: TensorLayout): { offset: number; rowBytes: number } {
  return { offset, rowBytes: bytes / shape[0] };
}

/** The row with its numbers at their target columns; what follows the last is zero in the shard already. */
function moved(row: Float32Array, { columns, targetColumn }: MatrixSource): Float32Array {
  const last = targetColumn(columns - 1);
  if (last === columns - 1) return row;
  const wide = new Float32Array(last + 1);
  row.forEach((value, column) => {
    wide[targetColumn(column)] = value;
  });
  return wide;
}

function writeRow(row: Float32Array, weights: Uint8Array, scales: Uint8Array | undefined): void {
  if (scales === undefined) {
    weights.set(floatBytes(row));
    return;
  }
  const packed = { levels: weights, scales: new Uint16Array(scales.byteLength / 2) };
  packRow(row, packed);
  const view = new DataView(scales.buffer, scales.byteOffset, scales.byteLength);
  packed.scales.forEach((bits, i) => view.setUint16(2 * i, bits, true));
}

function floatBytes(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => view.setFloat32(4 * i, value, true));
  return bytes;
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.byteLength - done, position + done);
    done += bytesWritten;
  }
}

/** SHA-256 of every chunk of a file, in order. */
export async function hashChunks(file: FileHandle, bytes: number): Promise<Uint8Array[]> {
  const chunk = new Uint8Array(protocolLimits.chunkBytes);
  const hashes: Uint8Array[] = [];
  for (let start = 0; start < bytes; start += chunk.byteLength) {
    const length = Math.min(chunk.byteLength, bytes - start);
    await file.read(chunk, 0, length, start);
    hashes.push(new Uint8Array(createHash('sha256').update(chunk.subarray(0, length)).digest()));
  }
  return hashes;
}
