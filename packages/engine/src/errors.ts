/** What can go wrong in the engine, by code. `fields` is what an error needs to be made again behind a worker. */
import { errorText, InvalidValueError, UnfedError, type SessionId, type ShardId } from '@unfed/protocol';
import type { Backend } from './engine.ts';

/** The session was closed, evicted or never opened: open it again and send all positions. */
export class SessionLostError extends UnfedError {
  readonly code = 'session-lost';
  readonly session: SessionId;

  constructor(session: SessionId) {
    super(`session ${session}: expected it open, came a closed or evicted one; open it again and replay`);
    this.session = session;
  }
}

/** A step starts behind what the cache holds, or ends behind what the session reserved. */
export class SessionPositionError extends UnfedError {
  readonly code = 'session-position';
  readonly session: SessionId;
  readonly expected: string;
  readonly came: string;

  constructor(session: SessionId, expected: string, came: string) {
    super(
      `session ${session}: expected ${expected}, came ${came}; send the missing positions or open a longer session`,
    );
    this.session = session;
    this.expected = expected;
    this.came = came;
  }
}

/** A shard's bytes are not what the architecture needs. */
export class ShardSizeError extends UnfedError {
  readonly code = 'shard-size';
  readonly shard: ShardId;
  readonly expectedBytes: number;
  readonly cameBytes: number;

  constructor(shard: ShardId, expectedBytes: number, cameBytes: number) {
    super(
      `shard ${shard}: expected ${expectedBytes} bytes, came ${cameBytes}; the manifest does not fit its architecture`,
    );
    this.shard = shard;
    this.expectedBytes = expectedBytes;
    this.cameBytes = cameBytes;
  }
}

/** A backend cannot be used here, or should not. */
export class BackendUnavailableError extends UnfedError {
  readonly code = 'backend-unavailable';
  readonly backend: Backend;
  readonly reason: string;

  constructor(backend: Backend, reason: string, options?: ErrorOptions) {
    super(`${backend} cannot be used: ${reason}`, options);
    this.backend = backend;
    this.reason = reason;
  }
}

/** A backend computes wrong numbers: it must not serve. */
export class SelfTestFailedError extends UnfedError {
  readonly code = 'self-test-failed';
  readonly backend: Backend;
  readonly difference: number;
  readonly tolerance: number;

  constructor(backend: Backend, difference: number, tolerance: number) {
    super(
      `the self-test failed on ${backend}: expected the known answers within ${tolerance}, ` +
        `came a difference of ${difference.toPrecision(3)}; use another backend`,
    );
    this.backend = backend;
    this.difference = difference;
    this.tolerance = tolerance;
  }
}

/** The GPU went away; everything on it is gone. */
export class DeviceLostError extends UnfedError {
  readonly code = 'device-lost';
  readonly reason: string;

  constructor(reason: string) {
    super(`the GPU device was lost (${reason}): expected it to last, came its end; load the span again`);
    this.reason = reason;
  }
}

/** The runtime refused a graph, a run or memory. */
export class RuntimeFailedError extends UnfedError {
  readonly code = 'runtime-failed';
  readonly doing: string;
  readonly reason: string;

  constructor(doing: string, reason: string, options?: ErrorOptions) {
    super(`${doing}: expected it to succeed, came "${reason}"; try another backend or a smaller span`, options);
    this.doing = doing;
    this.reason = reason;
  }
}

/** The engine was disposed while, or before, it was asked. */
export class EngineDisposedError extends UnfedError {
  readonly code = 'engine-disposed';

  constructor() {
    super('the engine: expected it running, came a call after dispose; create another');
  }
}

/** An error behind the worker's wall whose class only lives there (a model's error, say): code and message remain. */
export class WorkerError extends UnfedError {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** What crosses the worker's wall. */
export interface PlainError {
  readonly code: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export function toPlainError(error: unknown): PlainError {
  if (error instanceof UnfedError) {
    const { code, message } = error;
    const fields = Object.fromEntries(
      Object.entries(error).filter(([, value]) => typeof value === 'string' || typeof value === 'number'),
    );
    return { code, message, fields };
  }
  const message = errorText(error);
  return { code: 'runtime-failed', message, fields: { doing: 'the worker', reason: message } };
}

/** @returns the same class with the same fields, where the engine knows it */
export function fromPlainError({ code, message, fields }: PlainError): UnfedError {
  const text = (name: string): string => String(fields[name]);
  const number = (name: string): number => Number(fields[name]);
  switch (code) {
    case 'session-lost':
      return new SessionLostError(text('session') as SessionId);
    case 'session-position':
      return new SessionPositionError(text('session') as SessionId, text('expected'), text('came'));
    case 'shard-size':
      return new ShardSizeError(text('shard') as ShardId, number('expectedBytes'), number('cameBytes'));
    case 'backend-unavailable':
      return new BackendUnavailableError(text('backend') as Backend, text('reason'));
    case 'self-test-failed':
      return new SelfTestFailedError(text('backend') as Backend, number('difference'), number('tolerance'));
    case 'device-lost':
      return new DeviceLostError(text('reason'));
    case 'runtime-failed':
      return new RuntimeFailedError(text('doing'), text('reason'));
    case 'engine-disposed':
      return new EngineDisposedError();
    case 'invalid-value':
      return new InvalidValueError(text('what'), text('expected'), text('came'));
    default:
      return new WorkerError(code, message);
  }
}
