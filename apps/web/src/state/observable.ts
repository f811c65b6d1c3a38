/** A value that is replaced as a whole, and that calls back after each replacement. */

/** Something whose `view` is replaced, never changed in place, and that calls back after each replacement. */
export interface Observable<T> {
  readonly view: T;
  /** @returns what ends the calls */
  onChange(listener: () => void): () => void;
}

export class ObservableValue<T> implements Observable<T> {
  #view: T;
  readonly #listeners = new Set<() => void>();

  constructor(view: T) {
    this.#view = view;
  }

  get view(): T {
    return this.#view;
  }

  set(view: T): void {
    this.#view = view;
    for (const listener of [...this.#listeners]) listener();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Waits until a view answers something other than undefined.
   * @throws the signal's reason when it is aborted first
   */
  async until<R>(answer: (view: T) => R | undefined, signal: AbortSignal): Promise<R> {
    signal.throwIfAborted();
    const now = answer(this.#view);
    if (now !== undefined) return now;
    return new Promise<R>((resolve, reject) => {
      const end = () => {
        stopListening();
        signal.removeEventListener('abort', onAbort);
      };
      const onAbort = () => {
        end();
        reject(signal.reason);
      };
      const stopListening = this.onChange(() => {
        const later = answer(this.#view);
        if (later === undefined) return;
        end();
        resolve(later);
      });
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}
