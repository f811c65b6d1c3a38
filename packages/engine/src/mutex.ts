/** One at a time, in order: a runtime must neither create nor run two sessions at once. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `task` after all tasks before it have settled. */
  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task, task);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
