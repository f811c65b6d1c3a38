/**
 * How often one conversation may build a circuit anew. Every circuit shows other peers that the conversation exists, and
 * whoever can make circuits fail would otherwise choose, by patience alone, the one that lives.
 */
import { UnfedError } from '@unfed/protocol';
import * as limits from './limits.ts';

export class RebuildLimitError extends UnfedError {
  readonly code = 'rebuild-limit';
  /** When the next one may be built, ms from now. */
  readonly waitMs: number;

  constructor(waitMs: number) {
    super(
      `circuits of this conversation broke too often; another may be built in ${Math.ceil(waitMs / 1000)} s, so try again then`,
    );
    this.waitMs = waitMs;
  }
}

export class RebuildLimit {
  readonly #nowMs: () => number;
  #left = limits.rebuildsBurst;
  #countedAtMs: number;

  /** @param nowMs ms, never going back */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
    this.#countedAtMs = nowMs();
  }

  /** Counts one circuit. @throws RebuildLimitError */
  take(): void {
    const nowMs = this.#nowMs();
    this.#left = Math.min(limits.rebuildsBurst, this.#left + (nowMs - this.#countedAtMs) / limits.rebuildEveryMs);
    this.#countedAtMs = nowMs;
    if (this.#left < 1) throw new RebuildLimitError((1 - this.#left) * limits.rebuildEveryMs);
    this.#left--;
  }
}
