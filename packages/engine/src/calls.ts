/**
 * Calls that must fail when whoever answers them dies. `Promise.race` against one long-lived promise would do, but keeps
 * every answer (a row of logits a token) for as long as the other end lives.
 */
export class Calls {
  readonly #failures = new Set<(reason: Error) => void>();
  #ended: Error | undefined;

  /** Calls that wait for an answer. */
  get waiting(): number {
    return this.#failures.size;
  }

  /** @throws what the answer throws, and why the calls ended when they do before it comes */
  until<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#ended === undefined) this.#failures.add(reject);
      else reject(this.#ended);
      answer.then(resolve, reject).finally(() => this.#failures.delete(reject));
    });
  }

  /** Fails all that wait, and all that come. The first reason counts. */
  end(reason: Error): void {
    this.#ended ??= reason;
    for (const fail of this.#failures) fail(this.#ended);
    this.#failures.clear();
  }
}
