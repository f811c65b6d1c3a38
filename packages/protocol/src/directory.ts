/** The directory as its readers see it: every announcement that is valid now, verified by the reader itself. */
import type { Announcement } from './announcement.ts';
import { bytesToHex, type Brand } from './ids.ts';
import type { PeerId } from './peer-id.ts';

export interface Directory {
  /** All peers that announce themselves now, newest announcement of each. */
  announcements(): readonly Announcement[];
  /** Calls back after every change. @returns a function that stops it */
  onChange(listener: () => void): () => void;
}

/**
 * A network as one relay names it: the same text for two peers says that both are connected from it. Different relays
 * name one network differently, so that different texts say nothing where the relays differ.
 */
export type NetworkGroup = Brand<string, 'NetworkGroup'>;

/** What relays say of a peer beside its announcement. The peer neither signs nor chooses any of it. */
export interface Listing {
  /** One of each relay that lists the peer. */
  readonly networkGroups: readonly NetworkGroup[];
  /** For how long the peer has been listed, all times together, ms: the longest that one of the relays says. */
  readonly listedMs: number;
}

/** A directory that passes on what relays say of the peers in it. */
export interface ListingDirectory extends Directory {
  /** @returns no groups and 0 ms for a peer that is not listed */
  listing(peer: PeerId): Listing;
}

/** @param hash the relay's keyed hash of the network */
export function networkGroupOf(relay: PeerId, hash: Uint8Array): NetworkGroup {
  return `${relay} ${bytesToHex(hash)}` as NetworkGroup;
}
