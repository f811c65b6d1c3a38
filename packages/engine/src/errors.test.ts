import { InvalidValueError, randomSessionId, type ShardId, UnfedError } from '@unfed/protocol';
import { describe, expect, it } from 'vitest';
import * as errors from './errors.ts';

class ModelError extends UnfedError {
  readonly code = 'graph-too-large';
}

describe('errors across the worker', () => {
  const session = randomSessionId();
  it.each([
    new errors.SessionLostError(session),
    new errors.SessionPositionError(session, 'a position of 0 to 3', '5'),
    new errors.ShardSizeError('layer-3' as ShardId, 10, 9),
    new errors.BackendUnavailableError('webgpu', 'no WebGPU here'),
    new errors.SelfTestFailedError('webgpu', 0.5, 0.001),
    new errors.DeviceLostError('unplugged'),
    new errors.RuntimeFailedError('loading', 'no memory'),
    new errors.EngineDisposedError(),
    new InvalidValueError('tokens', '1 to 512', '0'),
  ])('keep class, code, message and fields: $code', (error) => {
    const came = errors.fromPlainError(structuredClone(errors.toPlainError(error)));
    expect(came).toBeInstanceOf(error.constructor);
    expect(came.message).toBe(error.message);
    expect({ ...came }).toEqual({ ...error });
  });

  it("keep code and message where the class is not the engine's", () => {
    const came = errors.fromPlainError(structuredClone(errors.toPlainError(new ModelError('too large'))));
    expect(came).toMatchObject({ code: 'graph-too-large', message: 'too large' });
  });

  it("become runtime-failed when they are nobody's", () => {
    const came = errors.fromPlainError(structuredClone(errors.toPlainError(new RangeError('out of memory'))));
    expect(came).toMatchObject({ code: 'runtime-failed', reason: 'out of memory' });
  });
});
