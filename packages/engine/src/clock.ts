/** Time as the engine needs it, so that a test can move it. */
export interface Clock {
  /** ms */
  now(): number;
  /** @returns a function that cancels the call */
  after(delayMs: number, callback: () => void): () => void;
}

/** The machine's clock. Its timers do not keep a process alive. */
export const machineClock: Clock = {
  now: () => performance.now(),
  after(delayMs, callback) {
    const timer: number | NodeJS.Timeout = setTimeout(callback, delayMs);
    if (typeof timer === 'object') timer.unref();
    return () => clearTimeout(timer);
  },
};
