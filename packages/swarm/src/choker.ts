/**
 * Who may download from us now (SPEC.md, K rules): those that give us most, and by turns one more, so that newcomers get
 * a beginning and better partners are found (Cohen, "Incentives Build Robustness in BitTorrent", 2003). When nothing is
 * missing here, those that take fastest. Pure: the time is counted in rounds.
 */
import * as limits from './limits.ts';

export interface ChokerPeer {
  readonly id: string;
  /** It lacks something that we have. */
  readonly interested: boolean;
  /** What it gave us lately. */
  readonly givenBytesPerSecond: number;
  /** What it took from us lately. */
  readonly takenBytesPerSecond: number;
}

export interface ChokerOptions {
  readonly slotsRegular?: number;
  readonly slotsOptimistic?: number;
  /** Numbers in [0, 1). */
  readonly random: () => number;
}

export interface ChokerRound {
  /** Nothing is missing here. */
  readonly complete: boolean;
  /** False where a peer came, went, or changed its interest: nobody's turn ends. */
  readonly turns?: boolean;
  /** Regular slots, where the line carries fewer than usual: see `slotsFor`. */
  readonly slots?: number;
}

/** How many peers a line of this measured rate can serve at a speed that is of use to them. */
export function slotsFor(bytesPerSecond: number): number {
  const slots = Math.floor(bytesPerSecond / limits.uploadSlotBytesPerSecond) - limits.uploadSlotsOptimistic;
  return Math.min(Math.max(slots, 1), limits.uploadSlotsRegular);
}

export class Choker {
  readonly #slotsRegular: number;
  readonly #slotsOptimistic: number;
  readonly #random: () => number;
  #optimistic: readonly string[] = [];
  #roundsLeft = 0;

  constructor({ slotsRegular, slotsOptimistic, random }: ChokerOptions) {
    this.#slotsRegular = slotsRegular ?? limits.uploadSlotsRegular;
    this.#slotsOptimistic = slotsOptimistic ?? limits.uploadSlotsOptimistic;
    this.#random = random;
  }

  /**
   * One round; also to be called when a peer comes, goes, or changes its interest.
   * @returns the peers that may download
   */
  choose(peers: readonly ChokerPeer[], { complete, turns = true, slots }: ChokerRound): Set<string> {
    const slotsRegular = Math.min(slots ?? this.#slotsRegular, this.#slotsRegular);
    const interested = peers.filter((peer) => peer.interested);
    const rate = (peer: ChokerPeer): number => (complete ? peer.takenBytesPerSecond : peer.givenBytesPerSecond);
    const ranked = this.#shuffled(interested).sort((a, b) => rate(b) - rate(a));
    // Who gave nothing has earned no regular slot, but an unused one is of no use to anybody.
    const chosen = new Set(ranked.slice(0, slotsRegular).map(({ id }) => id));
    const rest = ranked.slice(slotsRegular).map(({ id }) => id);
    if (turns) this.#roundsLeft--;
    const staying = this.#optimistic.filter((id) => rest.includes(id));
    if (this.#roundsLeft <= 0) {
      this.#roundsLeft = limits.optimisticRounds;
      // Those whose turn it was go last.
      const waiting = this.#shuffled(rest.filter((id) => !staying.includes(id)));
      this.#optimistic = [...waiting, ...staying].slice(0, this.#slotsOptimistic);
    } else {
      const waiting = this.#shuffled(rest.filter((id) => !staying.includes(id)));
      this.#optimistic = [...staying, ...waiting].slice(0, this.#slotsOptimistic);
    }
    for (const id of this.#optimistic) chosen.add(id);
    return chosen;
  }

  #shuffled<T>(items: readonly T[]): T[] {
    const shuffled = [...items];
    for (let i = shuffled.length - 1; i > 0; i--) {
      const j = Math.floor(this.#random() * (i + 1));
      const [a, b] = [shuffled[i], shuffled[j]];
      if (a === undefined || b === undefined) continue;
      shuffled[i] = b;
      shuffled[j] = a;
    }
    return shuffled;
  }
}
