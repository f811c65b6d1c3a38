/**
 * Rounding to 4 bits: symmetric, blocks of 32 inputs, one fp16 scale a block. The scale is the value of largest magnitude
 * over −8, so that this value is met exactly and all 16 levels serve. Packed as MatMulNBits reads it: two levels a byte,
 * the earlier input in the low half, each stored as level + 8.
 */
import { InvalidValueError } from '@unfed/protocol';
import { blockBytes, blockInputs } from './dimensions.ts';
import { halfBits, halfValue } from './float16.ts';

export interface PackedRow {
  /** `[blocks, 16]` */
  readonly levels: Uint8Array;
  /** `[blocks]`, fp16 bits */
  readonly scales: Uint16Array;
}

/**
 * @param row inputs of one output; the last block is filled with zeros
 * @param target takes the packed row: `blocks × 16` and `blocks` long
 * @throws InvalidValueError for weights that no fp16 scale can reach: NaN, infinite, beyond 524,000
 */
export function packRow(row: Float32Array, target: PackedRow): void {
  const blocks = target.scales.length;
  for (let block = 0; block < blocks; block++) {
    const start = block * blockInputs;
    const scale = packScale(row.subarray(start, start + blockInputs));
    target.scales[block] = scale.bits;
    for (let i = 0; i < blockBytes; i++) {
      const low = level(row[start + 2 * i] ?? 0, scale.value);
      const high = level(row[start + 2 * i + 1] ?? 0, scale.value);
      target.levels[block * blockBytes + i] = low | (high << 4);
    }
  }
}

/** @returns weights of one row, `levels.length × 2` of them, the filled-up ones included */
export function unpackRow({ levels, scales }: PackedRow, target: Float32Array): void {
  for (let block = 0; block < scales.length; block++) {
    const scale = halfValue(scales[block]);
    for (let i = 0; i < blockBytes; i++) {
      const pair = levels[block * blockBytes + i];
      const at = block * blockInputs + 2 * i;
      target[at] = ((pair & 15) - 8) * scale;
      target[at + 1] = ((pair >>> 4) - 8) * scale;
    }
  }
}

function packScale(block: Float32Array): { bits: number; value: number } {
  let largest = 0;
  for (const value of block) {
    if (!(Math.abs(value) <= Math.abs(largest))) largest = value;
  }
  const bits = halfBits(largest / -8);
  const value = halfValue(bits);
  if (!Number.isFinite(value)) {
    throw new InvalidValueError('weight', 'a magnitude that int4 with fp16 scales reaches (524,000)', String(largest));
  }
  return value === 0 ? { bits: halfBits(1), value: 1 } : { bits, value };
}

/** Half to even, like IEEE 754 and PyTorch, on the quotient in float32. @returns 0 to 15 */
function level(weight: number, scale: number): number {
  const quotient = Math.fround(weight / scale);
  const floor = Math.floor(quotient);
  const part = quotient - floor;
  const up = part > 0.5 || (part === 0.5 && floor % 2 !== 0);
  return Math.min(7, Math.max(-8, up ? floor + 1 : floor)) + 8;
}
