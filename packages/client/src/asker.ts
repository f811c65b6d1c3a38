/**
 * What asking needs before a circuit can be built: a path through a guard of this person's sample, and the conversation's
 * own node with a link to that guard. Which guards failed is remembered; how often one conversation may try is limited.
 */
import { createCircuitLinks, type CircuitLinks } from '@unfed/inference';
import { LinkError, type ListingDirectory, type PeerId } from '@unfed/protocol';
import type { AskingNode, AskingNodes, GuardAddress } from './asking-nodes.ts';
import { chooseCircuitPath, guardCandidates, type CircuitPath, type PathRequest } from './circuit-path.ts';
import type { GuardSample } from './guard-sample.ts';
import * as limits from './limits.ts';
import { RebuildLimit } from './rebuild-limit.ts';

export interface AskerInit extends Pick<PathRequest, 'relays' | 'self' | 'local' | 'random'> {
  readonly directory: Pick<ListingDirectory, 'announcements' | 'listing'>;
  readonly guards: GuardSample;
  readonly nodes: AskingNodes;
  /** Without a relay, that a guard cannot be reached says nothing of the guard. */
  readonly relayIsThere: () => boolean;
}

export interface CircuitNeed extends Pick<
  PathRequest,
  'manifest' | 'model' | 'span' | 'forwarders' | 'without' | 'penaltyMs'
> {
  readonly signal?: AbortSignal;
}

/** What a circuit is built with. Whoever builds it says what came of it. */
export interface CircuitWay {
  readonly path: CircuitPath;
  /** Its link to the guard is open. It stays the conversation's, and stops with it. */
  readonly node: AskingNode;
  /** The node's, for circuits. */
  readonly links: CircuitLinks;
  built(): void;
  /** The circuit could not be built, or broke, at whichever hop. */
  failed(): void;
}

export interface Asker {
  /** Makes the next conversation's node ahead, where a guard is there. */
  prepare(): void;
  /** A path that could be taken now; the next circuit's may be another. @throws NoPathError, NoRouteError */
  path(need: CircuitNeed): CircuitPath;
  conversation(): AskingConversation;
}

export interface AskingConversation {
  /**
   * The way of the next circuit. The node is the one before while the guard is.
   * @throws NoPathError, NoRouteError, RebuildLimitError, LinkError when no guard can be reached, the signal's reason
   */
  next(need: CircuitNeed): Promise<CircuitWay>;
  /** Ends the conversation's node. */
  stop(): Promise<void>;
}

export function createAsker(init: AskerInit): Asker {
  return {
    prepare() {
      const guard = init.guards.pick(guardCandidates(init), () => true);
      if (guard !== undefined) init.nodes.prepare(addressOf(init, guard.peer));
    },
    path: (need) => choosePath(init, need),
    conversation: () => new Conversation(init),
  };
}

function choosePath({ directory, guards, relays, self, local, random }: AskerInit, need: CircuitNeed): CircuitPath {
  return chooseCircuitPath({ ...need, directory, guards, relays, self, local, ...(random && { random }) });
}

/** A node, and its links of circuits. */
interface Asking {
  readonly node: AskingNode;
  readonly links: CircuitLinks;
}

class Conversation implements AskingConversation {
  readonly #init: AskerInit;
  readonly #limit = new RebuildLimit();
  #asking: Asking | undefined;
  #stopped = false;

  constructor(init: AskerInit) {
    this.#init = init;
  }

  async next(need: CircuitNeed): Promise<CircuitWay> {
    const { guards, nodes, relayIsThere } = this.#init;
    this.#limit.take();
    for (let attempt = 1; ; attempt++) {
      need.signal?.throwIfAborted();
      const path = choosePath(this.#init, need);
      const { guard } = path;
      try {
        const asking = await this.#askThrough(guard, need.signal);
        const built = (): void => {
          guards.built(guard);
          // Not before: this conversation's circuit should not wait for the next one's link.
          nodes.prepare(addressOf(this.#init, guard));
        };
        return { path, ...asking, built, failed: () => guards.failed(guard) };
      } catch (error) {
        if (this.#stopped || !(error instanceof LinkError) || !relayIsThere()) throw error;
        guards.unreachable(guard);
        if (attempt >= limits.guardsMax) throw error;
      }
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#leave();
  }

  async #askThrough(guard: PeerId, signal: AbortSignal | undefined): Promise<Asking> {
    if (this.#asking?.node.guard === guard && this.#asking.node.isLinked) return this.#asking;
    await this.#leave();
    const node = await this.#init.nodes.take(addressOf(this.#init, guard), signal);
    if (this.#stopped) {
      await node.stop();
      throw new LinkError('closed', guard, 'the conversation is over');
    }
    this.#asking = { node, links: createCircuitLinks(node.links) };
    return this.#asking;
  }

  async #leave(): Promise<void> {
    const asking = this.#asking;
    this.#asking = undefined;
    asking?.links.stop();
    await asking?.node.stop();
  }
}

function addressOf({ directory }: Pick<AskerInit, 'directory'>, peer: PeerId): GuardAddress {
  return { peer, addresses: directory.announcements().find((each) => each.peer === peer)?.addresses ?? [] };
}
