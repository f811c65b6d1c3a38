/** Rotary position embedding (https://arxiv.org/abs/2104.09864): its frequencies, their scalings, and the tables kernels read. */
import type { Architecture } from '@unfed/protocol';
import { roundUp } from './dimensions.ts';

/** @returns radians a position, one for every pair of numbers of a head: headSize / 2 */
export function rotaryFrequencies({ headSize, ropeTheta, ropeScaling }: Architecture): number[] {
  const plain = Array.from({ length: headSize / 2 }, (_, i) => ropeTheta ** ((-2 * i) / headSize));
  if (ropeScaling === null) return plain;
  if (ropeScaling.kind === 'linear') return plain.map((frequency) => frequency / ropeScaling.factor);
  const { factor, lowFrequencyFactor, highFrequencyFactor, originalContextLength } = ropeScaling;
  return plain.map((frequency) => {
    const turns = (originalContextLength * frequency) / (2 * Math.PI);
    if (turns < lowFrequencyFactor) return frequency / factor;
    if (turns > highFrequencyFactor) return frequency;
    const smooth = (turns - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
    return ((1 - smooth) * frequency) / factor + smooth * frequency;
  });
}

export interface RotaryTables {
  /** `[positions, halfSize]` each. */
  readonly cos: Float32Array;
  readonly sin: Float32Array;
  readonly halfSize: number;
}

/** Tables for heads padded to `headSizePadded`: the pairs of zeros that padding adds are turned by nothing. */
export function rotaryTables(architecture: Architecture, positions: number, headSizePadded: number): RotaryTables {
  const frequencies = rotaryFrequencies(architecture);
  const halfSize = roundUp(headSizePadded, 2) / 2;
  const cos = new Float32Array(positions * halfSize).fill(1);
  const sin = new Float32Array(positions * halfSize);
  for (let position = 0; position < positions; position++) {
    frequencies.forEach((frequency, i) => {
      cos[position * halfSize + i] = Math.cos(position * frequency);
      sin[position * halfSize + i] = Math.sin(position * frequency);
    });
  }
  return { cos, sin, halfSize };
}
