/** Who of the linked peers may download from us, looked at in rounds and soon after anything changed; and what was sent. */
import type { PeerId } from '@unfed/protocol';
import { Choker, UploadSlots } from './choker.ts';
import type { Exchange } from './exchange.ts';
import * as limits from './limits.ts';
import { RateMeter } from './rate-meter.ts';
import type { Soon } from './soon.ts';
import type { SwarmClock } from './swarm-clock.ts';
import type { TokenBucket } from './token-bucket.ts';

export interface UploadTurnsParts {
  readonly clock: SwarmClock;
  readonly random: () => number;
  readonly soon: Soon;
  readonly upload: TokenBucket;
  readonly exchanges: ReadonlyMap<PeerId, Exchange>;
  /** Nothing is missing here. */
  readonly isComplete: () => boolean;
}

export class UploadTurns {
  readonly #parts: UploadTurnsParts;
  readonly #choker: Choker;
  readonly #slots = new UploadSlots();
  readonly #rate = new RateMeter();
  #bytesSent = 0;

  constructor(parts: UploadTurnsParts) {
    this.#parts = parts;
    this.#choker = new Choker({ random: parts.random });
  }

  get bytesSent(): number {
    return this.#bytesSent;
  }

  get bytesPerSecond(): number {
    return this.#rate.bytesPerSecond(this.#parts.clock.now());
  }

  /** The fastest that was seen lately; 0 before anything was sent. */
  get peakBytesPerSecond(): number {
    return this.#slots.peakBytesPerSecond;
  }

  /** Begins the rounds. */
  start(): void {
    this.#choose(true);
    this.#parts.soon.run('round', limits.rechokeMs, () => this.start());
  }

  /** A peer came, went or changed its interest. */
  lookSoon(): void {
    this.#parts.soon.run('rechoke', limits.rechokeSoonMs, () => this.#choose(false));
  }

  sent(bytes: number): void {
    this.#bytesSent += bytes;
    this.#rate.add(bytes, this.#parts.clock.now());
    if (this.#slots.see(this.bytesPerSecond, this.#parts.upload.bytesPerSecond)) this.lookSoon();
  }

  #choose(turns: boolean): void {
    const nowMs = this.#parts.clock.now();
    const exchanges = [...this.#parts.exchanges.values()];
    const peers = exchanges.map((exchange) => ({
      id: exchange.peer,
      interested: exchange.theyAreInterested,
      givenBytesPerSecond: exchange.given.bytesPerSecond(nowMs),
      takenBytesPerSecond: exchange.taken.bytesPerSecond(nowMs),
      isSending: exchange.isSending,
    }));
    const complete = this.#parts.isComplete();
    const slots = this.#slots.give(this.#parts.upload.bytesPerSecond, turns);
    const chosen = this.#choker.choose(peers, { complete, turns, slots });
    for (const exchange of exchanges) exchange.serve(chosen.has(exchange.peer));
  }
}
