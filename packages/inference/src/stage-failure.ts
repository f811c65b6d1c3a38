/** What a stage says to a client of an error: our own words about the session, and of everything else a plain sentence. */
import { LinkError, toWireError, UnfedError, type WireError } from '@unfed/protocol';
import { StageProtocolError, StepTimeoutError } from './errors.ts';

/** Errors of the engine that say what was wrong with the session or the step, by code: a runner in a worker keeps no class. */
const aboutTheSession: ReadonlySet<string> = new Set(['session-lost', 'session-position', 'invalid-value', 'decode']);

/** @returns the error's code, and no text of a runtime, a driver or a transport */
export function stageFailure(error: unknown): WireError {
  if (!(error instanceof UnfedError)) return toWireError(error);
  const { code } = error;
  if (error instanceof StageProtocolError || error instanceof StepTimeoutError || aboutTheSession.has(code)) {
    return toWireError(error);
  }
  if (error instanceof LinkError) return { code, message: 'a neighbouring stage cannot be reached' };
  return { code, message: 'this stage cannot compute; another may' };
}
