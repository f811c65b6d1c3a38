import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeCbor } from './cbor.ts';
import { fuzz } from './fuzzing.fixture.ts';
import { manifestHash, sessionId } from './ids.ts';
import * as limits from './limits.ts';
import { identityFromSeed } from './peer-id.ts';
import {
  bytesPerNumber,
  decodeStageFrame,
  encodeControl,
  encodeStep,
  stepHeaderBytes,
  type ControlFrame,
  type OpenFrame,
  type StageFrame,
  type Step,
} from './stage-frames.ts';

const session = sessionId('00112233445566778899aabbccddeeff');
const { peer } = identityFromSeed(new Uint8Array(32).fill(1));
const open: OpenFrame = {
  kind: 'open',
  session,
  manifest: manifestHash('ab'.repeat(32)),
  first: 2,
  last: 4,
  positionsMax: 1024,
  previous: peer,
  next: null,
};
const controls: ControlFrame[] = [
  open,
  { kind: 'opened', session },
  { kind: 'close', session },
  { kind: 'failed', session, code: 'stage-busy', message: 'no room' },
];
const step: Step = {
  kind: 'step',
  session,
  number: 7,
  position: 300,
  tokens: 2,
  wants: 'last',
  precision: 'f32',
  deadlineMs: 1500,
  payload: Uint8Array.from({ length: 2 * 3 * 4 }, (_, i) => i),
};

const refused = (frame: Uint8Array): void =>
  expect(() => decodeStageFrame(frame)).toThrow(expect.objectContaining({ code: 'decode' }));
const control = (kind: number, body: object): Uint8Array => Uint8Array.of(kind, ...encodeCbor(body));
/** The example's bytes with one field written over. */
const stepWith = (write: (view: DataView) => void): Uint8Array => {
  const frame = encodeStep(step);
  write(new DataView(frame.buffer));
  return frame;
};

describe('control frames', () => {
  it('S1: come back as they were sent', () => {
    for (const each of controls) expect(decodeStageFrame(encodeControl(each))).toEqual(each);
    expect(controls.map((each) => encodeControl(each)[0])).toEqual([1, 2, 3, 4]);
  });

  it('S1: refuse other kinds, nothing at all, and more than 16,384 bytes', () => {
    for (const kind of [0, 6, 255]) refused(Uint8Array.of(kind, ...encodeCbor({ session })));
    refused(new Uint8Array());
    refused(Uint8Array.of(2));
    const long = new Uint8Array(limits.controlFrameBytesMax + 2);
    long[0] = 2;
    refused(long);
  });

  it('S2: refuse spans and sizes that cannot be, and addresses', () => {
    const { kind: _, ...body } = open;
    for (const changes of [
      { first: 4 },
      { first: -1 },
      { last: limits.layersMax + 1 },
      { positionsMax: 0 },
      { positionsMax: limits.contextLengthMax + 1 },
      { session: session.toUpperCase() },
      { session: 'short' },
      { next: '/ip4/10.0.0.1/tcp/22' },
      { next: { peer, addresses: [] } },
      { previous: 'me' },
      { extra: true },
    ]) {
      refused(control(1, { ...body, ...changes }));
    }
  });

  it('S3: refuse longer codes and messages', () => {
    refused(control(4, { session, code: 'x'.repeat(65), message: '' }));
    refused(control(4, { session, code: 'x', message: 'x'.repeat(513) }));
    refused(control(4, { session, code: 'x', message: 'x', stack: 'x' }));
  });
});

describe('step', () => {
  it('S4: has its fields where the table says', () => {
    const frame = encodeStep({ ...step, wants: 'all', precision: 'f16' });
    expect(Buffer.from(frame.subarray(0, stepHeaderBytes)).toString('hex')).toBe(
      `0503${session}070000002c0100000200dc050000`,
    );
    expect(frame.subarray(stepHeaderBytes)).toEqual(step.payload);
  });

  it('S4: comes back as it was sent, at any place of a buffer', () => {
    const steps = fc
      .record({
        number: fc.nat(0xffff_ffff),
        position: fc.nat(100_000),
        tokens: fc.integer({ min: 1, max: 32 }),
        wants: fc.constantFrom('all' as const, 'last' as const),
        precision: fc.constantFrom('f32' as const, 'f16' as const),
        deadlineMs: fc.nat(0xffff_ffff),
        width: fc.integer({ min: 1, max: 16 }),
      })
      .map(({ width, ...fields }): Step => {
        const payload = new Uint8Array(fields.tokens * width * bytesPerNumber(fields.precision)).map((_, i) => i);
        return { kind: 'step', session, ...fields, payload };
      });
    fc.assert(
      fc.property(steps, fc.nat(9), (each, offset) => {
        const frame = encodeStep(each);
        const within = new Uint8Array(offset + frame.length);
        within.set(frame, offset);
        expect(decodeStageFrame(within.subarray(offset))).toEqual(each);
      }),
    );
  });

  it('S4: is not written with numbers that its fields cannot hold', () => {
    for (const changes of [
      { tokens: 65_537 },
      { position: -1 },
      { deadlineMs: -1 },
      { number: 2 ** 32 },
      { deadlineMs: NaN },
    ]) {
      expect(() => encodeStep({ ...step, ...changes })).toThrow(expect.objectContaining({ code: 'invalid-value' }));
    }
  });

  it('S5: refuses unknown flags', () => {
    for (const flags of [4, 8, 128, 255]) refused(stepWith((view) => view.setUint8(1, flags)));
  });

  it('S6: refuses no tokens, too many, and positions past the longest context', () => {
    refused(stepWith((view) => view.setUint16(26, 0, true)));
    refused(stepWith((view) => view.setUint16(26, limits.stepPositionsMax + 1, true)));
    refused(stepWith((view) => view.setUint32(22, limits.contextLengthMax - 1, true)));
    refused(stepWith((view) => view.setUint32(22, 0xffff_ffff, true)));
  });

  it('S7: refuses payloads that are no whole rows, and none', () => {
    const frame = encodeStep(step);
    refused(frame.subarray(0, stepHeaderBytes));
    refused(frame.subarray(0, frame.length - 1));
    refused(frame.subarray(0, frame.length - 4));
    refused(frame.subarray(0, 10));
  });

  it('S8: refuses frames over the limit', () => {
    const payload = new Uint8Array(limits.frameBytesMax - stepHeaderBytes);
    expect(decodeStageFrame(encodeStep({ ...step, payload }))).toMatchObject({ tokens: 2 });
    refused(encodeStep({ ...step, payload: new Uint8Array(payload.length + 8) }));
  });
});

it('C4: every decoded stage frame lies within its limits, whatever the bytes are', () => {
  const check = (frame: StageFrame, bytes: Uint8Array): void => {
    if (frame.kind !== 'step') {
      expect(encodeControl(frame)).toEqual(bytes);
      return;
    }
    expect(encodeStep(frame)).toEqual(bytes);
    expect(frame.tokens).toBeGreaterThan(0);
    expect(frame.position + frame.tokens).toBeLessThanOrEqual(limits.contextLengthMax);
    expect(frame.payload.length % (frame.tokens * bytesPerNumber(frame.precision))).toBe(0);
  };
  fuzz(decodeStageFrame, check, [...controls.map(encodeControl), encodeStep(step)]);
});
