/** Hidden states as they travel: float32 as it lies in memory, or rounded to float16 (IEEE 754, nearest even). */
import { bytesPerNumber, DecodeError, type Precision } from '@unfed/protocol';

const floats = new Float32Array(1);
const bits = new Uint32Array(floats.buffer);

/** @returns the 16 bits of the nearest float16; overflow becomes infinity */
export function float16Bits(value: number): number {
  floats[0] = value;
  const word = bits[0];
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  if (magnitude >= 0x47800000) return magnitude > 0x7f800000 ? sign | 0x7e00 : sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Subnormal in float16: adding 0.5 aligns the fraction at 2^-24 and rounds to nearest even in one step.
    floats[0] = Math.abs(value) + 0.5;
    return sign | (bits[0] - 0x3f000000);
  }
  const odd = (magnitude >>> 13) & 1;
  return sign | ((magnitude - 0x38000000 + 0xfff + odd) >>> 13);
}

const float16Values = /* @__PURE__ */ makeFloat16Values();

function makeFloat16Values(): Float32Array {
  const values = new Float32Array(65_536);
  for (let half = 0; half < 65_536; half++) {
    const exponent = (half >>> 10) & 31;
    const fraction = half & 1023;
    const sign = half < 32_768 ? 1 : -1;
    if (exponent === 0) values[half] = sign * fraction * 2 ** -24;
    else if (exponent === 31) values[half] = fraction === 0 ? sign * Infinity : NaN;
    else values[half] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return values;
}

/** The bytes of `hidden` in `precision`, little-endian; for float32 a view, not a copy. */
export function packHidden(hidden: Float32Array, precision: Precision): Uint8Array {
  if (precision === 'f32') return new Uint8Array(hidden.buffer, hidden.byteOffset, hidden.byteLength);
  const halves = new Uint16Array(hidden.length);
  for (let i = 0; i < hidden.length; i++) halves[i] = float16Bits(hidden[i]);
  return new Uint8Array(halves.buffer);
}

/**
 * @param payload `[tokens, width]` in `precision`
 * @returns `[tokens, width]` in a buffer of its own, so that it can be transferred to a worker
 * @throws DecodeError unless the payload has exactly `tokens` rows of `width`
 */
export function unpackHidden(
  payload: Uint8Array,
  { tokens, width, precision }: { tokens: number; width: number; precision: Precision },
): Float32Array<ArrayBuffer> {
  const expected = tokens * width * bytesPerNumber(precision);
  if (payload.byteLength !== expected) {
    throw new DecodeError(
      'hidden states',
      `${tokens} × ${width} numbers in ${precision}`,
      `${payload.byteLength} bytes`,
    );
  }
  const own = payload.slice();
  if (precision === 'f32') return new Float32Array(own.buffer);
  const halves = new Uint16Array(own.buffer);
  const hidden = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) hidden[i] = float16Values[halves[i]];
  return hidden;
}
