/**
 * The frames between a client and its stages, and from stage to stage (protocol `/unfed/stage/1`, see SPEC.md).
 * Control frames are canonical CBOR behind a kind byte. Steps are a fixed header and raw numbers, because they are
 * the hot path: one allocation to write, none to read.
 */
import * as v from 'valibot';
import { manifestHashSchema, peerIdSchema } from './announcement.ts';
import { decodeCbor, encodeCbor, integer, text } from './cbor.ts';
import { DecodeError, InvalidValueError } from './errors.ts';
import { bytesToHex, hexToBytes, type SessionId } from './ids.ts';
import * as limits from './limits.ts';

export const stageProtocol = '/unfed/stage/1';

const kinds = { open: 1, opened: 2, close: 3, failed: 4, step: 5 } as const;

const session = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{32}$/),
  v.transform((id) => id as SessionId),
);

const openSchema = v.strictObject({
  session,
  manifest: manifestHashSchema,
  first: integer(0, limits.layersMax),
  last: integer(1, limits.layersMax),
  /** The KV cache to reserve. */
  positionsMax: integer(1, limits.contextLengthMax),
  /** Who sends the steps; null when the opener does. */
  previous: v.nullable(peerIdSchema),
  /**
   * Who takes the results; null when the opener does. A peer id only: the stage takes the addresses from an
   * announcement that it verified itself, so that nobody can make it dial a place of their choice.
   */
  next: v.nullable(peerIdSchema),
});
const openedSchema = v.strictObject({ session });
const closeSchema = v.strictObject({ session });
const failedSchema = v.strictObject({
  session,
  code: text(limits.wireErrorCodeCharsMax),
  message: text(limits.wireErrorMessageCharsMax),
});

/** How numbers of hidden states travel. */
export type Precision = 'f32' | 'f16';

/** One pass: `tokens` positions from `position` on. The stage first cuts its KV cache back to `position`. */
export interface Step {
  readonly kind: 'step';
  readonly session: SessionId;
  /** Counts steps of the session from 0, so that late results are told apart. */
  readonly number: number;
  readonly position: number;
  readonly tokens: number;
  /** Whether the client wants every position back, or the last alone. */
  readonly wants: 'all' | 'last';
  readonly precision: Precision;
  /** What is left of the step's deadline when this frame is sent, in ms; 0 for none. */
  readonly deadlineMs: number;
  /** `[tokens, width]` in `precision`, little-endian. */
  readonly payload: Uint8Array;
}

export type OpenFrame = { readonly kind: 'open' } & v.InferOutput<typeof openSchema>;
export type StageFrame =
  | OpenFrame
  | ({ readonly kind: 'opened' } & v.InferOutput<typeof openedSchema>)
  | ({ readonly kind: 'close' } & v.InferOutput<typeof closeSchema>)
  | ({ readonly kind: 'failed' } & v.InferOutput<typeof failedSchema>)
  | Step;
export type ControlFrame = Exclude<StageFrame, Step>;

/** kind u8, flags u8, session 16, number u32, position u32, tokens u16, deadlineMs u32: little-endian. */
export const stepHeaderBytes = 32;
const flagWantsAll = 1;
const flagF16 = 2;

export function encodeControl({ kind, ...body }: ControlFrame): Uint8Array<ArrayBuffer> {
  const bytes = encodeCbor(body);
  const frame = new Uint8Array(1 + bytes.length);
  frame[0] = kinds[kind];
  frame.set(bytes, 1);
  return frame;
}

/** @throws InvalidValueError for numbers that the header cannot hold: they would arrive as others */
export function encodeStep(step: Omit<Step, 'kind'>): Uint8Array<ArrayBuffer> {
  checkField('number', step.number, 0xffff_ffff);
  checkField('position', step.position, limits.contextLengthMax);
  checkField('tokens', step.tokens, limits.stepPositionsMax);
  checkField('deadlineMs', step.deadlineMs, 0xffff_ffff);
  const frame = new Uint8Array(stepHeaderBytes + step.payload.byteLength);
  const view = new DataView(frame.buffer);
  frame[0] = kinds.step;
  frame[1] = (step.wants === 'all' ? flagWantsAll : 0) | (step.precision === 'f16' ? flagF16 : 0);
  frame.set(hexToBytes(step.session), 2);
  view.setUint32(18, step.number, true);
  view.setUint32(22, step.position, true);
  view.setUint16(26, step.tokens, true);
  view.setUint32(28, step.deadlineMs, true);
  frame.set(step.payload, stepHeaderBytes);
  return frame;
}

function checkField(name: string, value: number, max: number): void {
  if (value >= 0 && value <= max) return;
  throw new InvalidValueError(`step (${name})`, `0 to ${max}`, String(value));
}

/** @throws DecodeError for everything that is not one whole frame within its limits */
export function decodeStageFrame(frame: Uint8Array): StageFrame {
  const control = { what: 'stage frame', bytesMax: limits.controlFrameBytesMax };
  const body = frame.subarray(1);
  switch (frame[0]) {
    case kinds.open: {
      const open = decodeCbor(openSchema, body, control);
      if (open.first >= open.last)
        throw new DecodeError('open frame', 'first below last', `[${open.first}, ${open.last})`);
      return { kind: 'open', ...open };
    }
    case kinds.opened:
      return { kind: 'opened', ...decodeCbor(openedSchema, body, control) };
    case kinds.close:
      return { kind: 'close', ...decodeCbor(closeSchema, body, control) };
    case kinds.failed:
      return { kind: 'failed', ...decodeCbor(failedSchema, body, control) };
    case kinds.step:
      return decodeStep(frame);
    default:
      throw new DecodeError(
        'stage frame',
        'a kind of 1 to 5',
        frame.length === 0 ? 'an empty frame' : `kind ${frame[0]}`,
      );
  }
}

function decodeStep(frame: Uint8Array): Step {
  if (frame.byteLength <= stepHeaderBytes || frame.byteLength > limits.frameBytesMax) {
    throw new DecodeError(
      'step frame',
      `over ${stepHeaderBytes} and at most ${limits.frameBytesMax} bytes`,
      `${frame.byteLength} bytes`,
    );
  }
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const flags = frame[1];
  if ((flags & ~(flagWantsAll | flagF16)) !== 0) throw new DecodeError('step frame', 'known flags', `flags ${flags}`);
  const precision: Precision = (flags & flagF16) === 0 ? 'f32' : 'f16';
  const tokens = view.getUint16(26, true);
  const position = view.getUint32(22, true);
  const payload = frame.subarray(stepHeaderBytes);
  if (tokens === 0 || tokens > limits.stepPositionsMax) {
    throw new DecodeError('step frame', `1 to ${limits.stepPositionsMax} tokens`, `${tokens}`);
  }
  if (position + tokens > limits.contextLengthMax) {
    throw new DecodeError('step frame', `positions below ${limits.contextLengthMax}`, `${position} + ${tokens}`);
  }
  if (payload.byteLength % (tokens * bytesPerNumber(precision)) !== 0) {
    throw new DecodeError(
      'step frame',
      `whole rows for ${tokens} tokens in ${precision}`,
      `${payload.byteLength} bytes`,
    );
  }
  return {
    kind: 'step',
    session: bytesToHex(frame.subarray(2, 18)) as SessionId,
    number: view.getUint32(18, true),
    position,
    tokens,
    wants: (flags & flagWantsAll) === 0 ? 'last' : 'all',
    precision,
    deadlineMs: view.getUint32(28, true),
    payload,
  };
}

export function bytesPerNumber(precision: Precision): number {
  return precision === 'f32' ? 4 : 2;
}
