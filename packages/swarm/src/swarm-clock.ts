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
