/** A set of callbacks; one that throws does not keep the others from being called. */
export class Listeners<T extends unknown[] = []> {
  readonly #listeners = new Set<(...args: T) => void>();

  /** @returns a function that removes it */
  add(listener: (...args: T) => void): () => void {
    const entry = (...args: T): void => listener(...args);
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  }

  call(...args: T): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(...args);
      } catch (error) {
        reportError(error);
      }
    }
  }
}

/** As an uncaught error, in its own turn: visible, and harmless to whoever is calling. */
function reportError(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
