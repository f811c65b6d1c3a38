/** How the page comes to a running peer: the relay's description, then libp2p, then a view that follows the peer. */
import type { DonationState, NetworkView, Peer, PoolView, RelayInfo, RelayState, WeightsView } from '@unfed/client';
import type { ManifestHash } from '@unfed/protocol';
import { ObservableValue } from './observable.ts';

export interface ConnectionView {
  readonly relay: RelayState;
  readonly info: RelayInfo | undefined;
  /** Undefined until the peer runs. */
  readonly peer: Peer | undefined;
  readonly network: NetworkView | undefined;
  readonly donation: DonationState;
  readonly weights: WeightsView | undefined;
  /** Why there is no peer and none will come without a reload. */
  readonly failure: string | undefined;
}

export interface ConnectionParts {
  /** Answers in its own time; reports each try that failed. */
  readonly relayInfo: (
    onFailure: (error: string, nextTryMs: number) => void,
    signal: AbortSignal,
  ) => Promise<RelayInfo>;
  readonly createPeer: (relay: RelayInfo, signal: AbortSignal) => Promise<Peer>;
}

const nothingYet: ConnectionView = {
  relay: { kind: 'connecting' },
  info: undefined,
  peer: undefined,
  network: undefined,
  donation: { kind: 'off' },
  weights: undefined,
  failure: undefined,
};

export class Connection extends ObservableValue<ConnectionView> {
  constructor() {
    super(nothingYet);
  }

  /** Starts the peer; what goes wrong stands in the view. @returns the peer, or undefined where `failure` says why */
  async start(parts: ConnectionParts, signal: AbortSignal): Promise<Peer | undefined> {
    try {
      const onFailure = (error: string, nextTryMs: number) =>
        this.set({ ...this.view, relay: { kind: 'retrying', error, nextTryMs } });
      const info = await parts.relayInfo(onFailure, signal);
      this.set({ ...this.view, info, relay: { kind: 'connecting' } });
      const peer = await parts.createPeer(info, signal);
      const follow = () =>
        this.set({
          ...this.view,
          peer,
          relay: peer.network.relay,
          network: peer.network,
          donation: peer.donation.state,
          weights: peer.weights.view,
        });
      peer.onChange(follow);
      follow();
      return peer;
    } catch (error) {
      if (!signal.aborted) this.set({ ...this.view, failure: error instanceof Error ? error.message : String(error) });
      return undefined;
    }
  }
}

/** The pools that can be chosen: those with volunteers, and those whose files the relay holds. */
export function poolsOf(view: ConnectionView): PoolView[] {
  const pools = view.network?.pools ?? [];
  const held = (view.info?.models ?? []).filter((model) => !pools.some((pool) => pool.manifest === model.manifest));
  return [
    ...pools,
    ...held.map(({ manifest, name }) => ({
      manifest: manifest as ManifestHash,
      name,
      layers: 0,
      coverage: [],
      stages: [],
    })),
  ];
}

/** @returns the pool of that manifest, or the first */
export function chosenPool(view: ConnectionView, chosen: ManifestHash | undefined): PoolView | undefined {
  const pools = poolsOf(view);
  return pools.find((pool) => pool.manifest === chosen) ?? pools[0];
}
