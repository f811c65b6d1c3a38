/** A peer for a page: WebRTC from the page, layers in a worker. */
import { createEngine } from '@unfed/engine';
import { createNetwork } from '@unfed/network';
import { askToKeep } from '@unfed/swarm';
import { createPeerOn } from './create-peer.ts';
import { openPageGuardStore } from './guard-store.ts';
import type { Peer } from './peer.ts';
import { openPageStore } from './page-store.ts';
import type { PeerOptions } from './platform.ts';

export * from './errors.ts';
export * from './peer.ts';
export type { OwnLayers } from './own-layers.ts';
export type { PeerOptions } from './platform.ts';

/** Resolves at once, also while the relay cannot be reached: `network.relay` says how it stands. */
export function createPeer(options: PeerOptions): Promise<Peer> {
  return createPeerOn(
    { createNetwork, createEngine, openStore: openPageStore, openGuardStore: openPageGuardStore, askToKeep },
    options,
  );
}
