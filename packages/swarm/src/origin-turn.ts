/**
 * Whose turn it is to ask the origin for a chunk that none of one's peers has: all peers of a large swarm must not ask at
 * once. Every peer ranks itself by a hash of peer and chunk among all that are announced (rendezvous hashing), so that
 * the ranks agree without a word; the first may ask, then the first two, four, … while the chunk does not come. Who asks
 * tells the others (rumours.ts), and who has fetched waits until that was passed on (super-seeding, BEP 16, turned round:
 * here the peers hold back, since the origin is a plain HTTP server).
 */
import { limits as protocolLimits } from '@unfed/protocol';
import * as limits from './limits.ts';
import type { OriginNeed } from './origin-need.ts';

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
export function originAskers(peers: number, { why, waitedMs }: Omit<OriginNeed, 'unspread'>): number {
  const waitMs = waitBeforeMs(peers, why);
  return waitedMs < waitMs ? 0 : Math.floor(2 ** ((waitedMs - waitMs) / limits.originTurnMs));
}

function waitBeforeMs(peers: number, why: OriginNeed['why']): number {
  switch (why) {
    case 'unheard':
      return 0;
    case 'doubted':
      return limits.originAnswerMs;
    case 'starved':
      // An origin for which a crowd is too much is no help to it.
      return limits.originPatienceMs * Math.max(1, peers / limits.originCrowdMax);
  }
}

export interface OriginTurnsParts {
  /** By `peerHash`. */
  readonly self: number;
  /** All who are announced for the model, without this one. */
  readonly others: () => readonly number[];
  /** Peers want something that this one holds. */
  readonly hasTakers: () => boolean;
  /** What this one was seen to send, to all peers together; 0, the default, before anything was. */
  readonly sentBytesPerSecond?: () => number;
}

/** The turns of one peer for one model. */
export class OriginTurns {
  readonly #parts: OriginTurnsParts;
  readonly #ranks = new Map<number, { readonly rank: number; readonly atMs: number }>();
  #others: readonly number[] = [];
  #lookedMs = -Infinity;

  constructor(parts: OriginTurnsParts) {
    this.#parts = parts;
  }

  /** @returns in which order to ask, so that few ask for the same; undefined while it is not this peer's turn */
  order(chunk: number, need: OriginNeed, nowMs: number): number | undefined {
    if (nowMs - this.#lookedMs >= limits.tickMs) {
      this.#others = this.#parts.others();
      this.#lookedMs = nowMs;
    }
    // What a slow line cannot pass on soon, a faster one should fetch.
    if (this.#parts.hasTakers() && need.unspread >= this.#unspreadMax()) return undefined;
    const askers = originAskers(this.#others.length + 1, need);
    if (askers < 1) return undefined;
    const rank = this.#rank(chunk, nowMs);
    return rank < askers ? rank : undefined;
  }

  #rank(chunk: number, nowMs: number): number {
    const known = this.#ranks.get(chunk);
    if (known !== undefined && nowMs - known.atMs <= limits.originRankMs) return known.rank;
    const rank = originRank(this.#parts.self, this.#others, chunk);
    this.#ranks.set(chunk, { rank, atMs: nowMs });
    return rank;
  }

  #unspreadMax(): number {
    const bytes = ((this.#parts.sentBytesPerSecond?.() ?? 0) * limits.originAheadMs) / 1000;
    return Math.min(Math.max(Math.floor(bytes / protocolLimits.chunkBytes), 1), limits.originAheadMax);
  }
}

function mixed(peer: number, chunk: number): number {
  let mix = peer ^ Math.imul(chunk + 1, 0x9e3779b1);
  mix = Math.imul(mix ^ (mix >>> 16), 0x85ebca6b);
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35);
  return (mix ^ (mix >>> 16)) >>> 0;
}
