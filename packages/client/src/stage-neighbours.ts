/** Which peers are next to us in circuits: those with which a link of the stage protocol is open. */
import { stageProtocol, type Link, type Links, type PeerId } from '@unfed/protocol';

export interface StageNeighbours {
  /** The links that were given, watched. */
  readonly links: Links;
  has(peer: PeerId): boolean;
}

export function watchStageNeighbours(links: Links): StageNeighbours {
  const open = new Map<PeerId, Link>();
  const seen = (link: Link): Link => {
    if (link.protocol !== stageProtocol || open.get(link.peer) === link) return link;
    open.set(link.peer, link);
    void link.closed.then(() => {
      if (open.get(link.peer) === link) open.delete(link.peer);
    });
    return link;
  };
  return {
    links: {
      self: links.self,
      open: async (peer, protocol, options) => seen(await links.open(peer, protocol, options)),
      accept: (protocol, handler) => links.accept(protocol, (link) => handler(seen(link))),
    },
    has: (peer) => open.has(peer),
  };
}
