/**
 * What failed lately, by peer, so that the next answer tries others first: without it, a few stages that claim to be
 * fast and never answer would take every answer's tries.
 */
import type { PeerId } from '@unfed/protocol';
import * as limits from './limits.ts';

interface Penalty {
  readonly ms: number;
  readonly atMs: number;
}

export class PeerPenalties {
  readonly #nowMs: () => number;
  readonly #penalties = new Map<PeerId, Penalty>();

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  get size(): number {
    return this.#penalties.size;
  }

  /** What to add to the expected cost of the peer's steps, ms; halved every `penaltyHalfLifeMs`. */
  readonly ms = (peer: PeerId): number => {
    const penalty = this.#penalties.get(peer);
    if (penalty === undefined) return 0;
    const ms = penalty.ms * 2 ** ((penalty.atMs - this.#nowMs()) / limits.penaltyHalfLifeMs);
    return ms < limits.penaltyMsMin ? 0 : ms;
  };

  /** One failure, shared by the peers of which one, it is not known which, failed. */
  add(peers: readonly PeerId[]): void {
    for (const peer of peers) {
      const ms = Math.min(limits.penaltyMsMax, this.ms(peer) + limits.failurePenaltyMs / peers.length);
      this.#penalties.delete(peer);
      this.#penalties.set(peer, { ms, atMs: this.#nowMs() });
    }
    this.#forget();
  }

  /** What has decayed, and beyond the limit what is least. */
  #forget(): void {
    for (const peer of this.#penalties.keys()) if (this.ms(peer) === 0) this.#penalties.delete(peer);
    const over = this.#penalties.size - limits.penaltiesMax;
    if (over <= 0) return;
    const least = [...this.#penalties.keys()].sort((a, b) => this.ms(a) - this.ms(b));
    for (const peer of least.slice(0, over)) this.#penalties.delete(peer);
  }
}
