/** So many bytes a second, shared by all who take from it, first come, first served. */
import * as limits from './limits.ts';
import type { SwarmClock } from './swarm-clock.ts';

interface Taker {
  readonly bytes: number;
  readonly go: () => void;
}

export class TokenBucket {
  readonly #clock: SwarmClock;
  readonly #takers: Taker[] = [];
  #bytesPerSecond: number;
  #level = 0;
  #filledMs: number;
  #cancelTimer: (() => void) | undefined;

  /** @param bytesPerSecond Infinity for no limit */
  constructor(clock: SwarmClock, bytesPerSecond = Infinity) {
    this.#clock = clock;
    this.#bytesPerSecond = bytesPerSecond;
    this.#filledMs = clock.now();
  }

  get bytesPerSecond(): number {
    return this.#bytesPerSecond;
  }

  get isLimited(): boolean {
    return this.#bytesPerSecond !== Infinity;
  }

  /** Holds at once, for those who wait too. 0 lets nothing through. */
  set bytesPerSecond(bytesPerSecond: number) {
    this.#fill();
    this.#bytesPerSecond = Math.max(0, bytesPerSecond);
    this.#serve();
  }

  /** Resolves when so many bytes may pass. @throws the signal's reason */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.isLimited && this.#takers.length === 0) return;
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        this.#takers.splice(this.#takers.indexOf(taker), 1);
        reject(signal.reason as Error);
        this.#serve();
      };
      const go = (): void => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      const taker = { bytes, go };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#takers.push(taker);
      this.#serve();
    });
  }

  #fill(): void {
    const nowMs = this.#clock.now();
    const limited = this.isLimited ? this.#bytesPerSecond : 0;
    const levelMax = (limited * limits.bucketMs) / 1000;
    this.#level = Math.min(this.#level + ((nowMs - this.#filledMs) * limited) / 1000, levelMax);
    this.#filledMs = nowMs;
  }

  /** Lets pass who may; a large taker passes on a full bucket, and the level goes below zero. */
  #serve(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#fill();
    for (let next = this.#takers[0]; next !== undefined; next = this.#takers[0]) {
      const wanted = Math.min(next.bytes, (this.#bytesPerSecond * limits.bucketMs) / 1000);
      if (this.isLimited && (this.#level < wanted || this.#bytesPerSecond === 0)) break;
      if (this.isLimited) this.#level -= next.bytes;
      this.#takers.shift();
      next.go();
    }
    const [waiting] = this.#takers;
    if (waiting === undefined || this.#bytesPerSecond === 0) return;
    const wanted = Math.min(waiting.bytes, (this.#bytesPerSecond * limits.bucketMs) / 1000);
    const waitMs = ((wanted - this.#level) / this.#bytesPerSecond) * 1000;
    this.#cancelTimer = this.#clock.after(Math.max(1, waitMs), () => this.#serve());
  }
}
