/** Bytes a second over the last seconds, older ones counting less and less. Pure: the time is passed in. */

/** After this, what was counted weighs 1/e. */
const memoryMs = 8_000;

export class RateMeter {
  #bytes = 0;
  #atMs = 0;
  #sinceMs: number | undefined;

  add(bytes: number, nowMs: number): void {
    this.#sinceMs ??= nowMs;
    this.#bytes = this.#decayed(nowMs) + bytes;
    this.#atMs = nowMs;
  }

  bytesPerSecond(nowMs: number): number {
    if (this.#sinceMs === undefined) return 0;
    // At first there is less of a past than the memory could hold.
    const pastMs = memoryMs * (1 - Math.exp(-Math.max(nowMs - this.#sinceMs, 1000) / memoryMs));
    return (this.#decayed(nowMs) / pastMs) * 1000;
  }

  #decayed(nowMs: number): number {
    return this.#bytes * Math.exp(-(nowMs - this.#atMs) / memoryMs);
  }
}
