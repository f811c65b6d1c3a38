/**
 * The identities under which this person asks: one for each conversation, on a libp2p node of its own that is connected to
 * the relay and to the guard and to nobody else, joins no swarm and announces nothing. Nothing ties it to the identity
 * that volunteers, or to another conversation, but what the relay and the guard see anyway: the address.
 */
import { circuitProtocol } from '@unfed/circuit';
import type { Network, NetworkOptions } from '@unfed/network';
import { LinkError, randomIdentity, type Link, type LinkOptions, type Links, type PeerId } from '@unfed/protocol';
import type { Platform } from './platform.ts';

/** The guard and where its announcement says that it can be reached. */
export interface GuardAddress {
  readonly peer: PeerId;
  readonly addresses: readonly string[];
}

/** One conversation's. */
export interface AskingNode {
  readonly self: PeerId;
  readonly guard: PeerId;
  /** Whether the link to the guard with which it began is still there. */
  readonly isLinked: boolean;
  /** To the guard alone: links to others are refused, both ways. */
  readonly links: Links;
  readonly connections: Network['connections'];
  /** When the conversation is over. */
  stop(): Promise<void>;
}

export interface AskingNodes {
  /**
   * Makes the next conversation's node ahead, with its link to this guard. One is kept; it replaces one for another
   * guard. What goes wrong here is tried anew by `take`.
   */
  prepare(guard: GuardAddress): void;
  /**
   * @returns a node that no conversation had before, its link to the guard open
   * @throws LinkError when the guard cannot be reached, the signal's reason; nothing is left running then
   */
  take(guard: GuardAddress, signal?: AbortSignal): Promise<AskingNode>;
  /** Ends the node that was made ahead; those that were taken end with their conversations. */
  stop(): Promise<void>;
}

export interface AskingNodesInit extends Pick<NetworkOptions, 'relays' | 'iceServers' | 'allowPrivateAddresses'> {
  readonly createNetwork: Platform['createNetwork'];
  /** Ends all nodes. */
  readonly signal: AbortSignal;
}

interface Spare {
  readonly guard: PeerId;
  readonly abort: AbortController;
  readonly node: Promise<Node>;
}

export function createAskingNodes(init: AskingNodesInit): AskingNodes {
  let spare: Spare | undefined;

  function drop(): Promise<void> {
    const dropped = spare;
    spare = undefined;
    dropped?.abort.abort(new Error('not needed any more'));
    return dropped?.node.then((node) => node.stop()).catch(() => undefined) ?? Promise.resolve();
  }

  /** @returns the spare where it is for this guard and lives */
  async function ready(guard: PeerId, signal: AbortSignal | undefined): Promise<Node | undefined> {
    if (spare?.guard !== guard) return undefined;
    const { node, abort } = spare;
    spare = undefined;
    const end = (): void => abort.abort(signal?.reason);
    signal?.addEventListener('abort', end, { once: true });
    try {
      const made = await node;
      if (made.isLinked) return made;
      await made.stop();
    } catch {
      signal?.throwIfAborted();
      // It failed some time ago, perhaps for a reason that has passed.
    } finally {
      signal?.removeEventListener('abort', end);
    }
    return undefined;
  }

  return {
    prepare(guard) {
      if (spare?.guard === guard.peer || init.signal.aborted) return;
      void drop();
      const abort = new AbortController();
      const node = Node.start(init, guard, abort.signal);
      node.catch(() => undefined);
      spare = { guard: guard.peer, abort, node };
    },
    async take(guard, signal) {
      signal?.throwIfAborted();
      return (await ready(guard.peer, signal)) ?? Node.start(init, guard, signal);
    },
    stop: drop,
  };
}

class Node implements AskingNode {
  readonly guard: PeerId;
  readonly links: Links;
  readonly #network: Network;
  readonly #link: Link;
  readonly #ended: AbortController;
  #isLinked = true;

  private constructor(network: Network, link: Link, ended: AbortController) {
    this.guard = link.peer;
    this.links = guardLinks(network, link.peer);
    this.#network = network;
    this.#link = link;
    this.#ended = ended;
    void this.#link.closed.then(() => {
      this.#isLinked = false;
    });
  }

  static async start(init: AskingNodesInit, guard: GuardAddress, signal?: AbortSignal): Promise<Node> {
    const ended = new AbortController();
    const network = await init.createNetwork({
      identity: randomIdentity(),
      relays: init.relays,
      iceServers: init.iceServers,
      // Nobody reaches it: it has no reservation at the relay, and its candidates go to the guard that it dials itself.
      listen: false,
      ...(init.allowPrivateAddresses === undefined ? {} : { allowPrivateAddresses: init.allowPrivateAddresses }),
      signal: AbortSignal.any([init.signal, ended.signal]),
    });
    try {
      const { peer, addresses } = guard;
      return new Node(
        network,
        await network.open(peer, circuitProtocol, { addresses, ...(signal && { signal }) }),
        ended,
      );
    } catch (error) {
      await network.stop();
      ended.abort(error);
      throw error;
    }
  }

  get self(): PeerId {
    return this.#network.self;
  }

  get connections(): Network['connections'] {
    return this.#network.connections;
  }

  get isLinked(): boolean {
    return this.#isLinked;
  }

  async stop(): Promise<void> {
    await this.#network.stop();
    this.#ended.abort(new Error('the conversation is over'));
  }
}

function guardLinks(links: Links, guard: PeerId): Links {
  return {
    self: links.self,
    open(peer: PeerId, protocol: string, options?: LinkOptions): Promise<Link> {
      if (peer === guard) return links.open(peer, protocol, options);
      return Promise.reject(
        new LinkError('unreachable', peer, 'who asks links to the guard alone; extend a circuit to it'),
      );
    },
    accept: (protocol, handler) =>
      links.accept(protocol, (link) => {
        if (link.peer === guard) handler(link);
        else link.close();
      }),
  };
}
