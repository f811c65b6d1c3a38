/**
 * All links of the stage protocol of one peer, and who takes which frame. A link between two peers is shared: this peer
 * may be a client of the other, a stage for it, and the stage before it, all at once; frames are told apart by kind and session.
 */
import {
  decodeStageFrame,
  encodeControl,
  stageProtocol,
  type ControlFrame,
  type Link,
  type LinkOptions,
  type Links,
  type PeerId,
  type SessionId,
  type StageFrame,
  type Step,
  type WireError,
} from '@unfed/protocol';
import { loopbackLinks } from './loopback.ts';

/** Takes what stages answer to a session that this peer opened. */
export interface SessionClient {
  /** The last stage. A step of the session from any other peer is for the stage that this peer may run in it. */
  readonly resultsFrom: PeerId;
  onControl(frame: Extract<ControlFrame, { kind: 'opened' | 'failed' }>, from: PeerId): void;
  onResult(step: Step): void;
  onLinkClosed(peer: PeerId): void;
}

/** Takes what clients and earlier stages send to a stage that this peer runs. */
export interface StageServer {
  onOpen(frame: Extract<ControlFrame, { kind: 'open' }>, link: Link): void;
  onClose(session: SessionId, link: Link): void;
  /** A returned promise holds back further frames of this link. */
  onStep(step: Step, link: Link): void | Promise<void>;
  onLinkClosed(link: Link): void;
}

export interface StageLinks {
  readonly self: PeerId;
  open(peer: PeerId, options?: LinkOptions): Promise<Link>;
  /** @returns a function that ends it */
  addClient(session: SessionId, client: SessionClient): () => void;
  /** One server at a time. @returns a function that ends it */
  serve(server: StageServer): () => void;
  stop(): void;
}

export function createStageLinks(links: Links): StageLinks {
  const clients = new Map<SessionId, SessionClient>();
  const attached = new WeakSet<Link>();
  let server: StageServer | undefined;

  function dispatch(link: Link, bytes: Uint8Array): void | Promise<void> {
    let frame: StageFrame;
    try {
      frame = decodeStageFrame(bytes);
    } catch {
      // A peer that sends what is no frame has no second chance on this link.
      link.close();
      return;
    }
    switch (frame.kind) {
      case 'opened':
      case 'failed':
        clients.get(frame.session)?.onControl(frame, link.peer);
        return;
      case 'close':
        server?.onClose(frame.session, link);
        return;
      case 'open':
        if (server !== undefined) server.onOpen(frame, link);
        else sendFailed(link, frame.session, { code: 'not-serving', message: 'this peer serves no layers now' });
        return;
      case 'step':
        return dispatchStep(frame, link);
    }
  }

  function dispatchStep(step: Step, link: Link): void | Promise<void> {
    // A peer may be client and stage of one session. What comes in at the loopback's server end is for its stage.
    const client = clients.get(step.session);
    if (client?.resultsFrom === link.peer && link !== loopback.server) return client.onResult(step);
    return server?.onStep(step, link);
  }

  function attach(link: Link): void {
    if (attached.has(link)) return;
    attached.add(link);
    link.onFrame((bytes) => dispatch(link, bytes));
    void link.closed.then(() => {
      for (const client of [...clients.values()]) client.onLinkClosed(link.peer);
      server?.onLinkClosed(link);
    });
  }

  const loopback = loopbackLinks(links.self);
  attach(loopback.client);
  attach(loopback.server);
  const stopAccepting = links.accept(stageProtocol, attach);

  return {
    self: links.self,
    async open(peer, options) {
      if (peer === links.self) return loopback.client;
      const link = await links.open(peer, stageProtocol, options);
      attach(link);
      return link;
    },
    addClient(session, client) {
      clients.set(session, client);
      return () => clients.delete(session);
    },
    serve(next) {
      server = next;
      return () => {
        if (server === next) server = undefined;
      };
    },
    stop() {
      stopAccepting();
      loopback.client.close();
    },
  };
}

/** Tells the other end, where it still listens. */
export function sendFailed(link: Link, session: SessionId, { code, message }: WireError): void {
  void link.send(encodeControl({ kind: 'failed', session, code, message })).catch(() => {
    // The link is gone, and with it whoever would read this.
  });
}
