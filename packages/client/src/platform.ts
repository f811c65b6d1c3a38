/** What differs between a page and Node, and is handed in: how peers are reached and where layers run. */
import type { Backend, Engine } from '@unfed/engine';
import type { Network, NetworkOptions } from '@unfed/network';
import type { Identity } from '@unfed/protocol';
import type { ChunkStore, Keeping } from '@unfed/swarm';
import type { OwnLayers } from './own-layers.ts';
import type { ForwarderCount } from './circuit-path.ts';
import type { GuardStore } from './guard-store.ts';
import type { RelayInfo } from './peer.ts';

export interface EngineRequest {
  readonly backend: 'auto' | Backend;
  readonly signal?: AbortSignal;
  readonly onProgress?: (note: string) => void;
}

/** Where chunks are kept. */
export interface OpenedStore {
  readonly store: ChunkStore;
  /** Whether they outlive this process or page. */
  readonly durable: boolean;
  /** What had to give; empty when nothing had to. */
  readonly note: string;
}

export interface Platform {
  createNetwork(options: NetworkOptions): Promise<Network>;
  createEngine(request: EngineRequest): Promise<Engine>;
  /** @param folder where Node keeps chunks */
  openStore(folder: string | undefined): Promise<OpenedStore>;
  /** @param folder the same: beside the chunks Node keeps the sample of guards */
  openGuardStore(folder: string | undefined): GuardStore;
  /** Asks whoever lends the disk to keep what is stored, as one does when a person has chosen to give room. */
  askToKeep(): Promise<Keeping>;
}

export interface PeerOptions {
  readonly relay: RelayInfo;
  /** Where models' files are served: `<modelsUrl>/<manifest hash>/<file>`. */
  readonly modelsUrl: string;
  /** Made anew when absent. */
  readonly identity?: Identity;
  /** Whether to announce this peer as one that forwards. */
  readonly forward?: boolean;
  /** Which backend runs the ends of chats; `auto` measures. */
  readonly endsBackend?: 'auto' | Backend;
  /** Layers of a model that chats run here, too. Default: none, by what `npm run bench -- leak` measures. */
  readonly ownLayers?: OwnLayers;
  /** Whether routes are circuits, so that no stage learns who asks. Default: `direct`. */
  readonly route?: 'circuit' | 'direct';
  /** Hops behind the guard of a circuit that only forward. Default: 1. */
  readonly forwarders?: ForwarderCount;
  /** Dial loopback and private networks. Default: only where the relay itself is there, as in development. */
  readonly allowPrivateAddresses?: boolean;
  /** Where Node keeps chunks of models, for itself alone; in memory when absent. A page keeps them in IndexedDB. */
  readonly storeFolder?: string;
  /** Who runs this peer, as they say themselves. */
  readonly operator?: string;
  readonly signal?: AbortSignal;
}
