/** Backends are tried from the fastest kind to the slowest; the first that gives right answers, and is not slower, serves. */
import type { Backend } from './engine.ts';
import { BackendUnavailableError, RuntimeFailedError, SelfTestFailedError } from './errors.ts';

/** One way to start a backend. */
export interface Attempt<R> {
  readonly backend: Backend;
  /** Starts, tests, and compares where there is a choice. @throws what `isReasonToMoveOn` knows */
  start(): Promise<R>;
}

export interface Chosen<R> {
  readonly started: R;
  /** Why no attempt before this one serves; empty for the first. */
  readonly note: string;
}

/**
 * @throws the last attempt's error when none serves; at once every error that is no verdict on a backend; the signal's reason
 */
export async function chooseBackend<R>(
  attempts: readonly Attempt<R>[],
  { signal, onProgress }: { signal?: AbortSignal; onProgress?: (note: string) => void },
): Promise<Chosen<R>> {
  const reasons: string[] = [];
  for (const [i, attempt] of attempts.entries()) {
    signal?.throwIfAborted();
    onProgress?.(`testing ${attempt.backend}`);
    try {
      const started = await attempt.start();
      return { started, note: reasons.join('; ') };
    } catch (error) {
      if (!isReasonToMoveOn(error) || i === attempts.length - 1) throw error;
      reasons.push(shortReason(error));
    }
  }
  throw new RangeError('chooseBackend: expected at least one attempt, came none; give one');
}

type ReasonToMoveOn = BackendUnavailableError | SelfTestFailedError | RuntimeFailedError;

function isReasonToMoveOn(error: unknown): error is ReasonToMoveOn {
  return (
    error instanceof BackendUnavailableError ||
    error instanceof SelfTestFailedError ||
    error instanceof RuntimeFailedError
  );
}

function shortReason(error: ReasonToMoveOn): string {
  if (error instanceof BackendUnavailableError) return error.reason;
  if (error instanceof SelfTestFailedError) {
    return `the self-test failed on ${error.backend}: a difference of ${error.difference.toPrecision(2)}`;
  }
  return error.message;
}
