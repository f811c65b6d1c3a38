/** Notices a runner that will never answer again: one failed run may be the fault of what was asked, several are not. */
import { asError, UnfedError } from '@unfed/protocol';
import * as limits from './limits.ts';

export class RunnerWatch {
  readonly #onLost: (error: Error) => void;
  #failuresInRow = 0;
  #lost = false;

  /** @param onLost called once */
  constructor(onLost: (error: Error) => void) {
    this.#onLost = onLost;
  }

  /** @throws what the work throws */
  async ask<T>(work: Promise<T>): Promise<T> {
    try {
      const answer = await work;
      this.#failuresInRow = 0;
      return answer;
    } catch (error) {
      const code = error instanceof UnfedError ? error.code : undefined;
      if (code === 'runtime-failed') this.#failuresInRow++;
      if (!this.#lost && (code === 'device-lost' || this.#failuresInRow >= limits.runnerFailuresMax)) {
        this.#lost = true;
        this.#onLost(asError(error));
      }
      throw error;
    }
  }
}
