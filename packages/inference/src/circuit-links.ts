/**
 * All links of circuits of one peer: their cells go to the circuits that pass through it, or to those that it asked for
 * itself. A peer that asks has a node of its own for each conversation, so that the two rarely meet; where they do, a
 * cell is told apart by its circuit.
 */
import { circuitProtocol, decodeCell, isOutward, type Cell } from '@unfed/circuit';
import type { Link, LinkOptions, Links, PeerId } from '@unfed/protocol';

/** The client's end of a circuit on the link to its guard. */
export interface CircuitClient {
  receive(cell: Cell): void;
  /** The link is gone. */
  lost(): void;
}

/** The circuits that pass through this peer. */
export interface CircuitServer {
  /** @throws UnfedError for what is no cell */
  receive(link: Link, frame: Uint8Array): void;
  linkClosed(link: Link): void;
}

export interface CircuitLinks {
  readonly self: PeerId;
  open(peer: PeerId, options?: LinkOptions): Promise<Link>;
  /**
   * @param make is given an id that no other circuit of this peer has on the link
   * @returns the client, and a function that ends its being given cells
   */
  addClient<C extends CircuitClient>(link: Link, make: (id: number) => C): { readonly client: C; remove: () => void };
  /** One server at a time. @returns a function that ends it */
  serve(server: CircuitServer): () => void;
  stop(): void;
}

export function createCircuitLinks(links: Links): CircuitLinks {
  const clients = new Map<Link, Map<number, CircuitClient>>();
  const attached = new Set<Link>();
  let server: CircuitServer | undefined;

  function dispatch(link: Link, frame: Uint8Array): void {
    try {
      const cell = decodeCell(frame);
      const client = isOutward(cell.type) ? undefined : clients.get(link)?.get(cell.circuit);
      if (client !== undefined) client.receive(cell);
      else server?.receive(link, frame);
    } catch {
      // A peer that sends what is no cell has no second chance on this link.
      link.close();
    }
  }

  function attach(link: Link): void {
    if (attached.has(link)) return;
    attached.add(link);
    link.onFrame((frame) => dispatch(link, frame));
    void link.closed.then(() => {
      attached.delete(link);
      const lost = [...(clients.get(link)?.values() ?? [])];
      clients.delete(link);
      for (const client of lost) client.lost();
      server?.linkClosed(link);
    });
  }

  const stopAccepting = links.accept(circuitProtocol, attach);

  return {
    self: links.self,
    async open(peer, options) {
      const link = await links.open(peer, circuitProtocol, options);
      attach(link);
      return link;
    },
    addClient(link, make) {
      const onLink = clients.get(link) ?? new Map<number, CircuitClient>();
      clients.set(link, onLink);
      let id = randomId();
      while (onLink.has(id)) id = randomId();
      const client = make(id);
      onLink.set(id, client);
      return { client, remove: () => void onLink.delete(id) };
    },
    serve(next) {
      server = next;
      return () => {
        if (server === next) server = undefined;
      };
    },
    stop() {
      stopAccepting();
      for (const link of attached) link.close();
    },
  };
}

function randomId(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}
