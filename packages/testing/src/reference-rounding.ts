/** Rounding to 4 bits once more, plainly, in numbers instead of bits: what the shards' weights must mean. */

const blockInputs = 32;

/**
 * @param values a matrix of rows of `columns` inputs
 * @returns the same with every block of 32 inputs rounded to 16 levels of one fp16 scale
 */
export function roundedTo4Bits(values: ArrayLike<number>, columns: number): Float64Array {
  const rounded = new Float64Array(values.length);
  for (let row = 0; row < values.length; row += columns) {
    for (let block = 0; block < columns; block += blockInputs) {
      const end = Math.min(block + blockInputs, columns);
      let largest = 0;
      for (let i = block; i < end; i++) {
        const value = values[row + i] ?? 0;
        if (Math.abs(value) > Math.abs(largest)) largest = value;
      }
      const scale = nearestHalf(largest / -8) || 1;
      for (let i = block; i < end; i++) {
        const level = nearestEven(Math.fround((values[row + i] ?? 0) / scale));
        rounded[row + i] = Math.min(7, Math.max(-8, level)) * scale;
      }
    }
  }
  return rounded;
}

/** The nearest number of 11 significant bits within fp16's range, ties to even. */
export function nearestHalf(value: number): number {
  if (value === 0) return 0;
  const exponent = Math.max(-14, Math.floor(Math.log2(Math.abs(value))));
  const unit = 2 ** (exponent - 10);
  const nearest = nearestEven(value / unit) * unit;
  return Math.abs(nearest) > 65_504 ? Math.sign(nearest) * Infinity : nearest;
}

function nearestEven(value: number): number {
  const nearest = Math.round(value);
  return Math.abs(nearest - value) === 0.5 && nearest % 2 !== 0 ? nearest - 1 : nearest;
}
