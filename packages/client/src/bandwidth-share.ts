/**
 * How much bulk transfers may take while steps of an answer pass: a part of what they took before, so that a line that
 * they filled has room. Pure.
 */
import * as limits from './limits.ts';

export class BandwidthShare {
  #limit = Infinity;

  /** Bytes a second that may pass now; Infinity while nobody else needs the line. */
  get bytesPerSecond(): number {
    return this.#limit;
  }

  /** @param rate bytes a second that passed lately; 0 when not known */
  update(isBusy: boolean, rate: number): void {
    if (!isBusy) this.#limit = Infinity;
    else if (this.#limit === Infinity) this.#limit = rate > 0 ? shareOf(rate) : limits.bulkBytesPerSecondUnknown;
  }
}

function shareOf(rate: number): number {
  return Math.min(Math.max(rate * limits.bulkShare, limits.bulkBytesPerSecondMin), limits.bulkBytesPerSecondMax);
}
