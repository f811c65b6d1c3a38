/**
 * A signal that ends work after a time, or with the caller's own. Not `AbortSignal.any` with `AbortSignal.timeout`: in
 * Node 20 what that returns may be collected as garbage before it fires, and the work then waits for ever.
 */

export interface Deadline {
  readonly signal: AbortSignal;
  /** Frees the timer and the caller's signal. To be called when the work is over, however it ended. */
  end(): void;
}

/** @param late the signal's reason when the time is over; the caller's reason when theirs comes first */
export function startDeadline(ms: number, late: Error, signal?: AbortSignal): Deadline {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(late), ms);
  const onAbort = (): void => controller.abort(signal?.reason);
  if (signal?.aborted === true) onAbort();
  else signal?.addEventListener('abort', onAbort, { once: true });
  return {
    signal: controller.signal,
    end() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    },
  };
}
