/**
 * The header of a safetensors file (https://github.com/huggingface/safetensors#format): JSON behind eight bytes of
 * length. Headers are foreign bytes, so everything they claim is checked before any weight is read.
 */
import { DecodeError } from '@unfed/protocol';
import * as v from 'valibot';
import { halfValue } from './float16.ts';
import * as limits from './limits.ts';

const elementBytes: Readonly<Record<string, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
};

const wholeNumber = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const tensorSchema = v.strictObject({
  dtype: v.picklist(Object.keys(elementBytes)),
  shape: v.pipe(v.array(wholeNumber), v.maxLength(8)),
  data_offsets: v.strictTuple([wholeNumber, wholeNumber]),
});

export interface TensorEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** `[start, end)` from the file's start, in bytes. */
  readonly start: number;
  readonly end: number;
}

/**
 * @param prefix the file's first eight bytes
 * @param fileBytes the file's size
 * @returns the header's bytes, which follow
 * @throws DecodeError
 */
export function safetensorsHeaderBytes(
  prefix: Uint8Array,
  { file, fileBytes }: { file: string; fileBytes: number },
): number {
  if (prefix.byteLength !== 8)
    throw new DecodeError(file, 'a safetensors file of 8 bytes and more', `${fileBytes} bytes`);
  const bytes = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  const bytesMax = Math.min(limits.safetensorsHeaderBytesMax, fileBytes - 8);
  if (bytes < 2n || bytes > BigInt(bytesMax)) {
    throw new DecodeError(`${file} (header)`, `2 to ${bytesMax} bytes`, `${bytes} bytes`);
  }
  return Number(bytes);
}

/**
 * Rules: known element types; every tensor as long as its shape says; tensors cover the file's data once, without holes,
 * to its very end.
 * @param header the JSON alone
 * @throws DecodeError
 */
export function parseSafetensorsHeader(
  header: Uint8Array,
  { file, fileBytes }: { file: string; fileBytes: number },
): Map<string, TensorEntry> {
  const dataStart = 8 + header.byteLength;
  const tensors = new Map<string, TensorEntry>();
  for (const [name, value] of Object.entries(parseJsonObject(header, file))) {
    if (name === '__metadata__') continue;
    if (tensors.size === limits.safetensorsTensorsMax) {
      throw new DecodeError(`${file} (header)`, `at most ${limits.safetensorsTensorsMax} tensors`, 'more');
    }
    const result = v.safeParse(tensorSchema, value, { abortEarly: true });
    const what = `${file} (${name.slice(0, 120)})`;
    if (!result.success) {
      throw new DecodeError(what, 'dtype, shape and data_offsets', result.issues[0].message.slice(0, 160));
    }
    const { dtype, shape, data_offsets: offsets } = result.output;
    const expected = shape.reduce((product, size) => product * size, elementBytes[dtype]);
    if (offsets[1] - offsets[0] !== expected) {
      throw new DecodeError(what, `${expected} bytes for ${dtype} [${shape.join(', ')}]`, `${offsets[1] - offsets[0]}`);
    }
    tensors.set(name, { dtype, shape, start: dataStart + offsets[0], end: dataStart + offsets[1] });
  }
  checkCover(tensors, { file, dataStart, fileBytes });
  return tensors;
}

function checkCover(
  tensors: ReadonlyMap<string, TensorEntry>,
  { file, dataStart, fileBytes }: { file: string; dataStart: number; fileBytes: number },
): void {
  let at = dataStart;
  for (const [name, { start, end }] of [...tensors].sort(([, a], [, b]) => a.start - b.start || a.end - b.end)) {
    if (start !== at) {
      const what = `${file} (${name.slice(0, 120)})`;
      throw new DecodeError(what, `a start at byte ${at}, where the tensor before ends`, `byte ${start}`);
    }
    at = end;
  }
  if (at !== fileBytes) throw new DecodeError(file, `${at} bytes by its header`, `${fileBytes} bytes`);
}

/** @throws DecodeError unless the bytes are one JSON object */
export function parseJsonObject(bytes: Uint8Array, file: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new DecodeError(file, 'JSON in UTF-8', cause instanceof Error ? cause.message.slice(0, 160) : 'other bytes', {
      cause,
    });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new DecodeError(file, 'a JSON object', Array.isArray(value) ? 'an array' : typeof value);
  }
  return value as Record<string, unknown>;
}

/**
 * @param bytes little-endian numbers of `dtype`
 * @returns them as f32; exact for F32, F16 and BF16
 * @throws DecodeError for any other type
 */
export function widenFloats(bytes: Uint8Array, dtype: string, what: string): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (dtype === 'F32') {
    return Float32Array.from({ length: bytes.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
  }
  const values = new Float32Array(bytes.byteLength / 2);
  if (dtype === 'F16') {
    for (let i = 0; i < values.length; i++) values[i] = halfValue(view.getUint16(2 * i, true));
    return values;
  }
  if (dtype === 'BF16') {
    const words = new Uint32Array(values.buffer);
    for (let i = 0; i < words.length; i++) words[i] = view.getUint16(2 * i, true) << 16;
    return values;
  }
  throw new DecodeError(what, 'F32, F16 or BF16', dtype);
}
