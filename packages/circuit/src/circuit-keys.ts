/** What a hop and the client share after their handshake, in the order in which it leaves the key stream. */
import { bytesToHex, type SessionId } from '@unfed/protocol';
import type { KeyStream } from './ntor.ts';

/** What both ends of a handshake must mean by it. */
export const verification = new TextEncoder().encode('unfed circuit v1');

export interface CircuitKeys {
  /** Of the layer from the client to the hop, and from the hop to the client. */
  readonly forward: Uint8Array;
  readonly backward: Uint8Array;
  /** Of what the hop puts in the place of the layer that it removed. */
  readonly filler: Uint8Array;
  /** Of a last stage's results, which do not come back through the hops before it. */
  readonly result: Uint8Array;
  /** Names the session at a stage; no neighbour sees it. */
  readonly session: SessionId;
  /** Proves, later, that a new circuit is by the same client. */
  readonly resume: Uint8Array;
}

export function circuitKeys(stream: KeyStream): CircuitKeys {
  const bytes = stream(5 * 32 + 16);
  const key = (index: number): Uint8Array => bytes.slice(index * 32, (index + 1) * 32);
  return {
    forward: key(0),
    backward: key(1),
    filler: key(2),
    result: key(3),
    resume: key(4),
    session: bytesToHex(bytes.subarray(160)) as SessionId,
  };
}
