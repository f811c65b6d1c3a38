/** Time as tests see it: the machine's, or a virtual one that moves only when told, so that no test waits. */
import { UnfedError } from '@unfed/protocol';

export interface Clock {
  /** ms; since 1970 for the real clock, since its start for a virtual one. */
  now(): number;
  /** Calls back once after `delayMs`; in the order of due times, then of calls. @returns a function that cancels it */
  after(delayMs: number, callback: () => void): () => void;
  /** @throws the signal's reason */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

/** Nothing is due and the awaited promise is still pending: it waits for something that will never come. */
export class VirtualDeadlockError extends UnfedError {
  readonly code = 'virtual-deadlock';

  constructor(nowMs: number) {
    super(
      `expected an event to come after ${nowMs} ms of virtual time, came none; the awaited promise waits for nothing`,
    );
  }
}

function sleepOn(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => {
      cancel();
      reject(signal?.reason as Error);
    };
    const cancel = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** The machine's clock. */
export class RealClock implements Clock {
  now(): number {
    return Date.now();
  }

  after(delayMs: number, callback: () => void): () => void {
    // Pages have no setImmediate; their timers are clamped to 4 ms, which only slows a test.
    if (delayMs <= 0 && 'setImmediate' in globalThis) {
      const immediate = setImmediate(callback);
      return () => clearImmediate(immediate);
    }
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal);
  }
}

interface Timer {
  readonly dueMs: number;
  readonly order: number;
  readonly callback: () => void;
}

/** How far `until` moves time, so that something that repeats for ever does not run for ever. */
const untilMsMax = 24 * 3_600_000;
/** How long `until` waits for the machine (a file, a hash) before it calls the wait a deadlock: turns, then ms. */
const idleTurnsMax = 2000;
const idleMsDefault = 10_000;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * A clock that stands still between calls of `advance` and `until`. Due callbacks run one by one, and all promises
 * that follow from one settle before the next runs: the same program gives the same run.
 */
export class VirtualClock implements Clock {
  #nowMs: number;
  #order = 0;
  #timers: Timer[] = [];
  readonly #idleMsMax: number;

  /** @param idleMsMax how long `until` waits for the machine when no event is due */
  constructor(startMs = 0, idleMsMax = idleMsDefault) {
    this.#nowMs = startMs;
    this.#idleMsMax = idleMsMax;
  }

  now(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer: Timer = { dueMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, callback };
    const later = this.#timers.findIndex((other) => other.dueMs > timer.dueMs);
    this.#timers.splice(later === -1 ? this.#timers.length : later, 0, timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal);
  }

  /** Moves time on by `ms`, and runs all that becomes due. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await turn();
    while (this.#runNext(endMs)) await turn();
    this.#nowMs = endMs;
  }

  /**
   * Moves time on, from event to event, until `promise` settles. What the machine itself works on (a hash, a file)
   * takes no virtual time, and other events may come before it is done.
   * @throws VirtualDeadlockError when no event within a day could settle it, and what the promise rejects with
   */
  async until<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const settle = (): void => {
      settled = true;
    };
    promise.then(settle, settle);
    const endMs = this.#nowMs + untilMsMax;
    let idleTurns = 0;
    let idleSinceMs = 0;
    for (;;) {
      await turn();
      if (settled) return promise;
      if (this.#runNext(endMs)) {
        idleTurns = 0;
        continue;
      }
      if (++idleTurns === idleTurnsMax) idleSinceMs = performance.now();
      if (idleTurns <= idleTurnsMax) continue;
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (performance.now() - idleSinceMs > this.#idleMsMax) throw new VirtualDeadlockError(this.#nowMs);
    }
  }

  #runNext(endMs: number): boolean {
    const next = this.#timers[0];
    if (next === undefined || next.dueMs > endMs) return false;
    this.#timers.shift();
    this.#nowMs = Math.max(this.#nowMs, next.dueMs);
    next.callback();
    return true;
  }
}
