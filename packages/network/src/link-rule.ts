/**
 * Which of two links between the same peers stays (SPEC.md, L rules). Pure, so that both ends can be played through.
 */
import type { PeerId } from '@unfed/protocol';
import { linkCrossingMs } from './limits.ts';

/** What a peer has towards another, for one protocol, when a link of the other comes in. */
export type OwnSide =
  | { readonly kind: 'none' }
  /** Our own stream is on its way and not welcomed yet. */
  | { readonly kind: 'opening' }
  | { readonly kind: 'established'; readonly openedBy: PeerId; readonly ageMs: number };

/**
 * @returns whether an incoming link replaces what there is. False: it is refused, and ours stays.
 */
export function takesIncoming(self: PeerId, remote: PeerId, own: OwnSide): boolean {
  switch (own.kind) {
    case 'none':
      return true;
    case 'opening':
      return isLower(remote, self);
    case 'established':
      // The opener opens only what it has not got: its own earlier link, or an old one of ours, is lost at its end.
      if (own.openedBy === remote || own.ageMs > linkCrossingMs) return true;
      return isLower(remote, self);
  }
}

/** By code units of the base58 text: any order would do, as long as both ends use the same. */
export function isLower(one: PeerId, other: PeerId): boolean {
  return one < other;
}
