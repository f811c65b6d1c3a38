/** What can go wrong with the hops of a circuit that compute nothing. */
import { CircuitError, type CircuitReason } from '@unfed/circuit';
import { UnfedError, type PeerId } from '@unfed/protocol';

/** A hop of a circuit is gone, refused, or changed something. What was written stays. */
export class HopLostError extends UnfedError {
  readonly code = 'hop-lost';
  readonly reason: CircuitReason;
  /** Of these one is to blame; nobody knows which, where there are several. The next circuit should avoid them. */
  readonly suspects: readonly PeerId[];

  constructor(reason: CircuitReason, suspects: readonly PeerId[], options?: ErrorOptions) {
    const names = suspects.map((peer) => peer.slice(-8)).join(', ');
    super(`${names === '' ? 'a hop' : names}: ${new CircuitError(reason).message}`, options);
    this.reason = reason;
    this.suspects = suspects;
  }
}
