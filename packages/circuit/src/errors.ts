/** Why a circuit ends, as literal codes: they travel in one byte, and every one says what to do next. */
import { UnfedError } from '@unfed/protocol';

/** The order is the code's number on the wire: add at the end only. */
export const circuitReasons = [
  'closed',
  'protocol',
  'bad-cell',
  'bad-handshake',
  'stale-key',
  'replayed',
  'busy',
  'flood',
  'unknown-peer',
  'not-allowed',
  'unreachable',
  'link-lost',
  'timeout',
  'stopped',
  'refused',
  'internal',
] as const;

export type CircuitReason = (typeof circuitReasons)[number];

const reasonTexts: Readonly<Record<CircuitReason, string>> = {
  closed: 'the circuit was closed',
  protocol: 'a cell broke the rules of circuits; build another circuit without this hop',
  'bad-cell': 'a cell was changed, repeated, lost or out of order; build another circuit without these hops',
  'bad-handshake': 'the answer to a handshake is not by the peer that was asked; build another circuit without it',
  'stale-key': 'the hop key is no longer valid; read the directory again',
  replayed: 'this handshake was taken before; make another',
  busy: 'the hop has no room for another circuit; try another, or again in a moment',
  flood: 'more cells wait than the window allows; build another circuit',
  'unknown-peer': 'the hop knows no announcement of the next peer; choose another',
  'not-allowed': 'the hop does not extend to this peer; choose another',
  unreachable: 'the next peer cannot be reached; choose another',
  'link-lost': 'the link to the next hop is gone; build another circuit',
  timeout: 'the hop did not answer in time; choose another',
  stopped: 'the hop stopped forwarding; choose another',
  refused: 'the hop refused its part; choose another',
  internal: 'the hop failed; choose another',
};

/** A circuit, or its building, failed. */
export class CircuitError extends UnfedError {
  readonly code: `circuit-${CircuitReason}`;
  readonly reason: CircuitReason;

  constructor(reason: CircuitReason, detail?: string, options?: ErrorOptions) {
    super(detail === undefined ? reasonTexts[reason] : `${detail}: ${reasonTexts[reason]}`, options);
    this.code = `circuit-${reason}`;
    this.reason = reason;
  }
}

export function reasonNumber(reason: CircuitReason): number {
  return circuitReasons.indexOf(reason);
}

/** An unknown number is a reason of a later version: the hop failed in a way that we do not know. */
export function reasonOf(number: number | undefined): CircuitReason {
  return circuitReasons[number ?? -1] ?? 'internal';
}
