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
  /** A chunk is on its way to it, whether it may have more or not. */
  readonly isSending?: boolean;
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
  return Math.min(Math.max(slots, 0), limits.uploadSlotsRegular);
}

/** How many regular slots a line is good for, by what it was seen to carry lately: none before anything was sent. */
export class UploadSlots {
  #peakBytesPerSecond = 0;
  #given = 0;

  /** The fastest that was seen lately. */
  get peakBytesPerSecond(): number {
    return this.#peakBytesPerSecond;
  }

  /**
   * To be called with what was sent lately, to all peers together.
   * @param capBytesPerSecond what may be sent @returns whether there are more slots than were last given
   */
  see(bytesPerSecond: number, capBytesPerSecond: number): boolean {
    this.#peakBytesPerSecond = Math.max(bytesPerSecond, this.#peakBytesPerSecond);
    return this.#count(capBytesPerSecond) > this.#given;
  }

  /** @param isRound one of the regular ones: what was seen counts less from then on */
  give(capBytesPerSecond: number, isRound: boolean): number {
    this.#given = this.#count(capBytesPerSecond);
    if (isRound) this.#peakBytesPerSecond *= limits.peakDecay;
    return this.#given;
  }

  #count(capBytesPerSecond: number): number {
    return slotsFor(Math.min(this.#peakBytesPerSecond, capBytesPerSecond));
  }
}

export class Choker {
  readonly #slotsRegular: number;
  readonly #slotsOptimistic: number;
  readonly #random: () => number;
  #regular: readonly string[] = [];
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
  choose(peers: readonly ChokerPeer[], round: ChokerRound): Set<string> {
    const slotsRegular = Math.min(round.slots ?? this.#slotsRegular, this.#slotsRegular);
    // Who is still being sent a chunk has a slot until that is there: lines are shared by few.
    const inSlots = new Set(peers.filter(({ isSending }) => isSending === true).map(({ id }) => id));
    const letIn = (id: string): boolean => {
      const hasRoom = inSlots.has(id) || inSlots.size < slotsRegular + this.#slotsOptimistic;
      if (hasRoom) inSlots.add(id);
      return hasRoom;
    };
    const ranked = this.#ranked(peers, round);
    const best = ranked.filter((id) => !this.#optimistic.includes(id)).slice(0, slotsRegular);
    this.#regular = best.filter(letIn);
    const others = ranked.filter((id) => !best.includes(id));
    this.#optimistic = this.#byTurns(others, round).slice(0, this.#slotsOptimistic).filter(letIn);
    return new Set([...this.#regular, ...this.#optimistic]);
  }

  /** Those that want something, best first; between rounds whoever has a slot comes before all others. */
  #ranked(peers: readonly ChokerPeer[], { complete, turns = true }: ChokerRound): string[] {
    const rate = (peer: ChokerPeer): number => (complete ? peer.takenBytesPerSecond : peer.givenBytesPerSecond);
    const hasSlot = ({ id }: ChokerPeer): number => (this.#regular.includes(id) ? 1 : 0);
    const byRate = (a: ChokerPeer, b: ChokerPeer): number => rate(b) - rate(a);
    const bySlot = (a: ChokerPeer, b: ChokerPeer): number => hasSlot(b) - hasSlot(a);
    return this.#shuffled(peers.filter(({ interested }) => interested))
      .sort((a, b) => (turns ? byRate(a, b) || bySlot(a, b) : bySlot(a, b) || byRate(a, b)))
      .map(({ id }) => id);
  }

  /** Whose turn it is to have an optimistic slot, first; those whose turn is over go last. */
  #byTurns(ids: readonly string[], { turns = true }: ChokerRound): string[] {
    if (turns) this.#roundsLeft--;
    const staying = this.#optimistic.filter((id) => ids.includes(id));
    const waiting = this.#shuffled(ids.filter((id) => !staying.includes(id)));
    if (this.#roundsLeft > 0) return [...staying, ...waiting];
    this.#roundsLeft = limits.optimisticRounds;
    return [...waiting, ...staying];
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
