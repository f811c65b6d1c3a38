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
    const timer: unknown = setTimeout(callback, delayMs);
    if (typeof timer === 'object' && timer !== null && 'unref' in timer && typeof timer.unref === 'function') {
      timer.unref();
    }
    return () => clearTimeout(timer as ReturnType<typeof setTimeout>);
  },
};
