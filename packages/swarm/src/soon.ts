/** Puts off what is asked for often: each thing runs once, a little later. */
import type { SwarmClock } from './swarm-clock.ts';

export class Soon {
  readonly #clock: SwarmClock;
  readonly #cancels = new Map<string, () => void>();
  #isStopped = false;

  constructor(clock: SwarmClock) {
    this.#clock = clock;
  }

  /** @param what names it: until it runs, asking again changes nothing */
  run(what: string, delayMs: number, run: () => void): void {
    if (this.#cancels.has(what) || this.#isStopped) return;
    const cancel = this.#clock.after(delayMs, () => {
      this.#cancels.delete(what);
      run();
    });
    this.#cancels.set(what, cancel);
  }

  stop(): void {
    this.#isStopped = true;
    for (const cancel of this.#cancels.values()) cancel();
  }
}
