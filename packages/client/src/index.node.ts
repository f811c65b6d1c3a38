/** A peer for Node: the same, with webrtc-direct to be reached at, and layers on onnxruntime-node. */
import { createEngine } from '@unfed/engine/node';
import { createNetwork } from '@unfed/network/node';
import { createPeerOn } from './create-peer.ts';
import { openNodeGuardStore } from './guard-store.node.ts';
import { openNodeStore } from './node-store.node.ts';
import type { Peer } from './peer.ts';
import type { PeerOptions } from './platform.ts';

export * from './errors.ts';
export * from './peer.ts';
export type { PeerOptions } from './platform.ts';

/** Resolves at once, also while the relay cannot be reached: `network.relay` says how it stands. */
export function createPeer(options: PeerOptions): Promise<Peer> {
  return createPeerOn(
    {
      createNetwork,
      createEngine,
      openStore: openNodeStore,
      openGuardStore: openNodeGuardStore,
      askToKeep: async () => 'unknown',
    },
    options,
  );
}
