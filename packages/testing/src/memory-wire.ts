/** One direction of a path in memory: seeded delay, jitter and loss; what is sent first arrives first. */
import { seededRandom, seedFrom } from './random.ts';
import type { Clock } from './clock.ts';
import * as limits from './limits.ts';

export interface PathOptions {
  /** One way. Default 0. */
  readonly delayMs?: number;
  /** Each frame takes up to this much longer. Default 0. */
  readonly jitterMs?: number;
  /** The part of all packets that is lost, 0 to below 1. Links are reliable, so a loss shows as a delay. Default 0. */
  readonly lossRate?: number;
  /** How much later a frame comes for each time one of its packets was lost. Default: a round trip and 10 ms. */
  readonly retransmitMs?: number;
}

export class MemoryWire {
  readonly #clock: Clock;
  readonly #path: Required<PathOptions>;
  readonly #random: () => number;
  readonly #underway: { arrive: () => void; cancel: () => void }[] = [];
  #lastArrivalMs = 0;

  constructor(clock: Clock, path: Required<PathOptions>, seed: string) {
    this.#clock = clock;
    this.#path = path;
    this.#random = seededRandom(seedFrom(0, seed));
  }

  /** @param bytes how much travels, which decides how likely a loss is */
  carry(bytes: number, arrive: () => void): void {
    const nowMs = this.#clock.now();
    const { delayMs, jitterMs } = this.#path;
    const arrivalMs = Math.max(nowMs + delayMs + jitterMs * this.#random() + this.#lossMs(bytes), this.#lastArrivalMs);
    this.#lastArrivalMs = arrivalMs;
    // A timer takes whatever is first in line: timers that are due together may fire in any order on a real clock.
    const cancel = this.#clock.after(arrivalMs - nowMs, () => this.#underway.shift()?.arrive());
    this.#underway.push({ arrive, cancel });
  }

  /** Nothing that is on its way arrives. */
  drop(): void {
    for (const { cancel } of this.#underway.splice(0)) cancel();
  }

  #lossMs(bytes: number): number {
    if (this.#path.lossRate === 0) return 0;
    const packets = Math.max(1, Math.ceil(bytes / limits.packetBytes));
    const frameLossRate = 1 - (1 - this.#path.lossRate) ** packets;
    let lossMs = 0;
    while (this.#random() < frameLossRate && lossMs < 60_000) lossMs += Math.max(1, this.#path.retransmitMs);
    return lossMs;
  }
}
