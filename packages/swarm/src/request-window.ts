/**
 * How much one peer may be asked for at a time: its measured rate × (round trip + queue). Links that share a line then have
 * `queue` ms of it wait in its buffers, all together, however many they are: enough to keep it full, too little to overflow
 * it or to hold up others for long (the aim of LEDBAT, RFC 6817, by the receiver). Pure: the time is passed in, in ms.
 */
import * as limits from './limits.ts';

/** How much a new measurement counts against those before: a pause of either end is no slower line. */
const newestWhenFaster = 0.4;
const newestWhenSlower = 0.15;

/** One request on its way. */
export interface Asked {
  readonly atMs: number;
  /** What had come from the peer when it was sent. */
  readonly cameBefore: number;
}

export class RequestWindow {
  #underWayBytes = 0;
  #cameBytes = 0;
  /** Bytes a ms; undefined before the first request was answered. */
  #rate: number | undefined;
  #roundTripMs: number = limits.rttMsMax;

  asked(bytes: number, nowMs: number): Asked {
    this.#underWayBytes += bytes;
    return { atMs: nowMs, cameBefore: this.#cameBytes };
  }

  /** The first bytes of a request came. The shortest time that this took is the round trip. */
  answered({ atMs }: Asked, nowMs: number): void {
    this.#roundTripMs = Math.min(this.#roundTripMs, nowMs - atMs);
  }

  /** Some bytes of a request came. */
  came(bytes: number): void {
    this.#cameBytes += bytes;
    this.#underWayBytes -= bytes;
  }

  /** All of a request came: what came meanwhile, of others too, is what the peer gives in that time. */
  done({ atMs, cameBefore }: Asked, nowMs: number): void {
    const rate = (this.#cameBytes - cameBefore) / Math.max(1, nowMs - atMs);
    const before = this.#rate ?? rate;
    this.#rate = before + (rate - before) * (rate > before ? newestWhenFaster : newestWhenSlower);
  }

  /** So much of what was asked for will not come. */
  freed(bytes: number): void {
    this.#underWayBytes -= bytes;
  }

  /**
   * Whether so much more may be asked for; one request always.
   * @param queueMs what may wait in the line's buffers
   * @param bytesMin what may be under way at any rate
   */
  hasRoom(bytes: number, { queueMs, bytesMin }: { queueMs: number; bytesMin: number }): boolean {
    if (this.#underWayBytes === 0) return true;
    const bytesMax = (this.#rate ?? 0) * (this.#roundTripMs + queueMs);
    return this.#underWayBytes + bytes <= Math.max(bytesMax, bytesMin);
  }
}
