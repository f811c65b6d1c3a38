/**
 * Whose turn it is to ask the origin for a chunk that none of one's peers has: all peers of a large swarm must not ask at
 * once. Every peer ranks itself by a hash of peer and chunk among all that are announced (rendezvous hashing), so that
 * the ranks agree without a word; the first may ask at once, then the first two, four, … while the chunk does not come.
 */
import * as limits from './limits.ts';
import type { OriginNeed } from './picker.ts';

/** A 32-bit number of a peer. */
export function peerHash(peer: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < peer.length; i++) hash = Math.imul(hash ^ peer.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** @returns how many of the others come before `self` for this chunk; 0 is the first */
export function originRank(self: number, others: readonly number[], chunk: number): number {
  const own = mixed(self, chunk);
  let rank = 0;
  for (const other of others) if (mixed(other, chunk) < own) rank++;
  return rank;
}

/** @param peers how many exchange the model, this one included @returns how many of them may ask, first ones first */
export function originAskers(
  peers: number,
  { waitedMs, hasOthers }: Pick<OriginNeed, 'waitedMs' | 'hasOthers'>,
): number {
  const turns = waitedMs / (limits.originTurnMs * Math.log2(peers));
  // Others that came before may be at it. In a swarm that lives, the chunk is most likely on its way.
  return 2 ** Math.floor(hasOthers ? turns : turns + 0.5) - 1;
}

/** The turns of one peer for one model. */
export class OriginTurns {
  readonly #self: number;
  readonly #others: () => readonly number[];
  readonly #hasTakers: () => boolean;
  readonly #ranks = new Map<number, { readonly rank: number; readonly atMs: number }>();
  #isEarly: boolean | undefined;
  /** When there was last something that only the origin has. */
  #lastAskedMs: number | undefined;

  /**
   * @param self by `peerHash`
   * @param others all who are announced for the model, without this one
   * @param hasTakers peers want what this one holds
   */
  constructor(self: number, others: () => readonly number[], hasTakers: () => boolean) {
    this.#self = self;
    this.#others = others;
    this.#hasTakers = hasTakers;
  }

  /**
   * The first few that come may ask for everything, and go on with it: they soon hear of each other's chunks.
   * @returns in which order to ask, so that few ask for the same; undefined while it is not this peer's turn
   */
  order(chunk: number, need: OriginNeed, nowMs: number): number | undefined {
    const others = this.#others();
    this.#isEarly ??= others.length < limits.originCrowdMax;
    if (nowMs - (this.#lastAskedMs ?? nowMs) > limits.originPatienceMs) this.#isEarly = false;
    this.#lastAskedMs = nowMs;
    // What a slow line cannot pass on, a faster one should fetch.
    if (need.unspread >= limits.originAheadMax && this.#hasTakers()) return undefined;
    const isOpen = this.#isEarly || others.length < limits.originCrowdMax;
    const askers = isOpen ? Infinity : originAskers(others.length + 1, need);
    if (askers < 1) return undefined;
    let known = this.#ranks.get(chunk);
    if (known === undefined || nowMs - known.atMs > limits.originRankMs) {
      known = { rank: originRank(this.#self, others, chunk), atMs: nowMs };
      this.#ranks.set(chunk, known);
    }
    return known.rank < askers ? known.rank : undefined;
  }
}

function mixed(peer: number, chunk: number): number {
  let mix = peer ^ Math.imul(chunk + 1, 0x9e3779b1);
  mix = Math.imul(mix ^ (mix >>> 16), 0x85ebca6b);
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35);
  return (mix ^ (mix >>> 16)) >>> 0;
}
