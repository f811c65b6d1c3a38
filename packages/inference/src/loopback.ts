/** A link from this peer to itself, for a chat whose own page also serves layers: two ends, frames handed over as they are. */
import { LinkError, type FrameHandler, type Link, type PeerId, type UnfedError } from '@unfed/protocol';

class LoopbackEnd implements Link {
  readonly protocol = 'loopback';
  readonly relayed = false;
  readonly closed: Promise<UnfedError | undefined>;
  readonly peer: PeerId;
  other: LoopbackEnd | undefined;
  #handler: FrameHandler | undefined;
  #open = true;
  #resolveClosed: () => void = () => undefined;

  constructor(peer: PeerId) {
    this.peer = peer;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = () => resolve(undefined);
    });
  }

  async send(frame: Uint8Array): Promise<void> {
    const to = this.other;
    if (!this.#open || to === undefined) throw new LinkError('closed', this.peer, 'this peer stopped');
    // Not in the sender's own call: a handler that sends in turn would nest without end.
    await Promise.resolve();
    void to.#handler?.(frame);
  }

  onFrame(handler: FrameHandler): void {
    this.#handler = handler;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#resolveClosed();
    this.other?.close();
  }
}

export function loopbackLinks(self: PeerId): { readonly client: Link; readonly server: Link } {
  const client = new LoopbackEnd(self);
  const server = new LoopbackEnd(self);
  client.other = server;
  server.other = client;
  return { client, server };
}
