/**
 * Links: framed, long-lived, two-way streams between two peers. `@unfed/network` gives real ones over libp2p,
 * `@unfed/testing` seeded ones in memory; both pass the suite in `@unfed/testing`.
 */
import { UnfedError } from './errors.ts';
import type { PeerId } from './peer-id.ts';

/** The protocol by which peers exchange chunks of models. Its frames are those of `@unfed/swarm`. */
export const swarmProtocol = '/unfed/swarm/1';

/** Takes one whole frame, which it may keep. While a returned promise is pending, no further frame is read. */
export type FrameHandler = (frame: Uint8Array) => void | Promise<void>;

export interface Link {
  /** The other end. */
  readonly peer: PeerId;
  readonly protocol: string;
  /** True while frames pass through a relay. Weights never travel so. */
  readonly relayed: boolean;
  /**
   * Sends one frame, in order. Resolves when it is handed over and there is room for another: awaiting it is the
   * back-pressure. The bytes must not change until then.
   * @throws LinkError closed | frame-too-long | queue-full (a caller that does not await)
   */
  send(frame: Uint8Array): Promise<void>;
  /** Sets who takes the frames; frames that came earlier are delivered first. Set once. */
  onFrame(handler: FrameHandler): void;
  /** Resolves when the link is gone, with the error that ended it, or undefined after `close()` on either side. */
  readonly closed: Promise<UnfedError | undefined>;
  close(): void;
}

export interface LinkOptions {
  /** Multiaddrs at which the peer may be reached; empty where it has already a connection or announced none. */
  readonly addresses?: readonly string[];
  readonly signal?: AbortSignal;
}

/** Opens links to other peers and takes theirs. One link a peer and protocol is kept and shared. */
export interface Links {
  readonly self: PeerId;
  /**
   * @returns the link that exists, or a new one
   * @throws LinkError unreachable, and the signal's reason
   */
  open(peer: PeerId, protocol: string, options?: LinkOptions): Promise<Link>;
  /** Takes links that others open. @returns a function that stops taking them */
  accept(protocol: string, handler: (link: Link) => void): () => void;
}

/** Why a link could not be had, or ended. */
export type LinkFailure = 'unreachable' | 'closed' | 'frame-too-long' | 'queue-full' | 'peer-left';

export class LinkError extends UnfedError {
  readonly code: `link-${LinkFailure}`;
  readonly peer: PeerId;

  constructor(failure: LinkFailure, peer: PeerId, detail: string, options?: ErrorOptions) {
    super(`link to ${peer.slice(-8)}: ${detail}`, options);
    this.code = `link-${failure}`;
    this.peer = peer;
  }
}
