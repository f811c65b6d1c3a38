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

/**
 * @param rank by `originRank`
 * @param peers how many exchange the model, this one included
 */
export function isOriginsTurn(rank: number, peers: number, { waitedMs, hasOthers }: OriginNeed): boolean {
  if (peers <= limits.originCrowdMin) return true;
  const turnMs = limits.originTurnMs * Math.log2(peers);
  const turns = 2 ** Math.floor(waitedMs / turnMs);
  // In a swarm that lives, a chunk that none of one's own peers has is most likely on its way.
  return rank < (hasOthers ? turns - 1 : turns);
}

function mixed(peer: number, chunk: number): number {
  let mix = peer ^ Math.imul(chunk + 1, 0x9e3779b1);
  mix = Math.imul(mix ^ (mix >>> 16), 0x85ebca6b);
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35);
  return (mix ^ (mix >>> 16)) >>> 0;
}
