/**
 * A route: the stages of one session, in order, as something to send steps into.
 * `direct-route.ts` and `circuit-route.ts` implement it; nothing above knows which one it has.
 */
import type { PeerId, Span } from '@unfed/protocol';

export interface Hop {
  readonly peer: PeerId;
  readonly span: Span;
  readonly backend: 'webgpu' | 'wasm' | 'node-cpu';
}

export interface RouteStep {
  /** The first position of this step; stages first cut their caches back to it. */
  readonly position: number;
  readonly tokens: number;
  /** `[tokens, width]`, entering the first stage. */
  readonly hidden: Float32Array;
  readonly wants: 'all' | 'last';
}

export interface Route {
  readonly hops: readonly Hop[];
  /** Positions that the stages reserved. */
  readonly positionsMax: number;
  /** False once a stage is lost or the route is closed. */
  readonly alive: boolean;
  /**
   * Sends one step; several may be in flight, their results come in order.
   * @returns `[tokens, width]` or `[1, width]`, as `wants` says, leaving the last stage
   * @throws StageLostError, StageRefusedError, StepTimeoutError
   */
  step(step: RouteStep): Promise<Float32Array<ArrayBuffer>>;
  /** Ends the session at every stage. */
  close(): void;
}
