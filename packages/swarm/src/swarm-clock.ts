/** Time as the swarm sees it, so that tests may hand in one that moves only when told. */
export interface SwarmClock {
  /** ms from any beginning; never backwards. */
  now(): number;
  /** @returns a function that cancels it */
  after(delayMs: number, callback: () => void): () => void;
}

export const systemClock: SwarmClock = {
  now: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Waits by that clock. @throws the signal's reason */
export function pause(clock: SwarmClock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      cancel();
      reject(signal.reason as Error);
    };
    const cancel = clock.after(ms, () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}
