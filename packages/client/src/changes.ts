/** Tells listeners that something changed, at most once in a while, never in the middle of the change. */
import * as limits from './limits.ts';

export class Changes {
  readonly #listeners = new Set<() => void>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  readonly notify = (): void => {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      for (const listener of [...this.#listeners]) listener();
    }, limits.changeEveryMs);
  };

  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#listeners.clear();
  }
}
