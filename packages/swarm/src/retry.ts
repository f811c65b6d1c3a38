/** Trying again: with growing waits, as long as tries bring something, and only where another try may help. */
import { HashMismatchError } from '@unfed/protocol';
import { SourceError } from './errors.ts';

export interface RetryLimits {
  /** Tries in a row without progress. */
  readonly triesMax: number;
  readonly backoffMs: number;
  readonly backoffMsMax: number;
}

/** Waits `ms`. @throws the signal's reason */
export function wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    if (signal?.aborted === true) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** Wrong bytes may come from a broken cache on the way, so they too are worth another try. */
export function mayHelp(error: unknown): boolean {
  return error instanceof HashMismatchError || (error instanceof SourceError && error.transient);
}

/**
 * @param attempt does the work; `again` is true after a failure. Tells progress by what `progress` gives
 * @param progress a number that grows when an attempt brought something
 * @throws the last error, and the signal's reason
 */
export async function retrying<T>(
  attempt: (again: boolean) => Promise<T>,
  progress: () => number,
  { limits, signal }: { limits: RetryLimits; signal: AbortSignal | undefined },
): Promise<T> {
  let failures = 0;
  for (let again = false; ; again = true) {
    signal?.throwIfAborted();
    const before = progress();
    try {
      return await attempt(again);
    } catch (error) {
      signal?.throwIfAborted();
      failures = progress() > before ? 1 : failures + 1;
      if (failures >= limits.triesMax || !mayHelp(error)) throw error;
    }
    // Half fixed, half random, so that many who failed together do not come back together.
    const fullMs = Math.min(limits.backoffMs * 2 ** (failures - 1), limits.backoffMsMax);
    await wait(fullMs * (0.5 + Math.random() / 2), signal);
  }
}
