/** Events in the order of their times, on a clock that jumps from one to the next: for simulations of millions of them. */

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export class EventQueue {
  nowMs = 0;
  #order = 0;
  /** A binary heap: the next event first. */
  readonly #heap: Event[] = [];

  after(delayMs: number, run: () => void): void {
    const event = { atMs: this.nowMs + delayMs, order: this.#order++, run };
    let place = this.#heap.length;
    this.#heap.push(event);
    while (place > 0) {
      const above = (place - 1) >> 1;
      const other = this.#heap[above];
      if (other === undefined || !isSooner(event, other)) break;
      this.#heap[place] = other;
      place = above;
    }
    this.#heap[place] = event;
  }

  /** Runs the next event. @returns whether there was one */
  step(): boolean {
    const [next] = this.#heap;
    const last = this.#heap.pop();
    if (next === undefined || last === undefined) return false;
    if (this.#heap.length > 0) this.#sink(last);
    this.nowMs = next.atMs;
    next.run();
    return true;
  }

  #sink(event: Event): void {
    let place = 0;
    for (;;) {
      const left = 2 * place + 1;
      const [one, two] = [this.#heap[left], this.#heap[left + 1]];
      if (one === undefined) break;
      const below = two !== undefined && isSooner(two, one) ? left + 1 : left;
      const other = this.#heap[below];
      if (other === undefined || !isSooner(other, event)) break;
      this.#heap[place] = other;
      place = below;
    }
    this.#heap[place] = event;
  }
}

function isSooner(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
