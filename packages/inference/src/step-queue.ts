/**
 * Steps that wait at a stage: in order within a session, and bounded in bytes over all sessions, because what strangers
 * send faster than a volunteer computes lies in that volunteer's memory.
 */
import type { Link, Step } from '@unfed/protocol';
import * as limits from './limits.ts';

/** The bytes of steps that wait or run at one stage, in all and by the link they came on. */
export class StepBudget {
  readonly #byLink = new WeakMap<Link, number>();
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** @returns false, and takes nothing, where the stage or the link would hold too much */
  take(link: Link, bytes: number): boolean {
    const ofLink = (this.#byLink.get(link) ?? 0) + bytes;
    if (ofLink > limits.stepBytesQueuedPerLinkMax || this.#bytes + bytes > limits.stepBytesQueuedMax) return false;
    this.#byLink.set(link, ofLink);
    this.#bytes += bytes;
    return true;
  }

  give(link: Link, bytes: number): void {
    this.#byLink.set(link, (this.#byLink.get(link) ?? 0) - bytes);
    this.#bytes -= bytes;
  }
}

export interface QueuedStep {
  readonly step: Step;
  /** That it came on. */
  readonly link: Link;
  readonly arrivedMs: number;
}

export interface StepWork<R> {
  /** @returns the result that goes on; undefined where the session ended. Must not throw */
  compute(queued: QueuedStep): Promise<R | undefined>;
  /** Must not throw. */
  deliver(result: R): Promise<void>;
}

/** The steps of one session, run one after the other. */
export class StepQueue<R> {
  readonly #budget: StepBudget;
  readonly #work: StepWork<R>;
  readonly #waiting: QueuedStep[] = [];
  #running = false;

  constructor(budget: StepBudget, work: StepWork<R>) {
    this.#budget = budget;
    this.#work = work;
  }

  /** @returns why there is no room; undefined where the step was taken */
  push(queued: QueuedStep): string | undefined {
    if (this.#waiting.length + (this.#running ? 1 : 0) >= limits.stepsQueuedMax) {
      return `at most ${limits.stepsQueuedMax} steps may wait`;
    }
    if (!this.#budget.take(queued.link, queued.step.payload.byteLength)) {
      return 'too many bytes of steps wait at this stage; try another, or again in a moment';
    }
    this.#waiting.push(queued);
    if (!this.#running) void this.#drain();
    return undefined;
  }

  /** Drops what waits. A step that is computed now gives its bytes back when it is done. */
  clear(): void {
    for (const { link, step } of this.#waiting.splice(0)) this.#budget.give(link, step.payload.byteLength);
  }

  async #drain(): Promise<void> {
    this.#running = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const result = await this.#work.compute(next);
      // What waits to be sent is the link's to count.
      this.#budget.give(next.link, next.step.payload.byteLength);
      if (result !== undefined) await this.#work.deliver(result);
    }
    this.#running = false;
  }
}
