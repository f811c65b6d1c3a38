/**
 * What asking needs before a circuit can be built: a path through a guard of this person's sample, and the conversation's
 * own node with a link to that guard. Which guards failed is remembered; how often one conversation may try is limited.
 */
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
  built(): void;
  /** The circuit could not be built, or broke, at whichever hop. */
  failed(): void;
}

export interface Asker {
  /** Makes the next conversation's node ahead, where a guard is there. */
  prepare(): void;
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
    conversation: () => new Conversation(init),
  };
}

class Conversation implements AskingConversation {
  readonly #init: AskerInit;
  readonly #limit = new RebuildLimit();
  #node: AskingNode | undefined;
  #stopped = false;

  constructor(init: AskerInit) {
    this.#init = init;
  }

  async next({ signal, ...need }: CircuitNeed): Promise<CircuitWay> {
    const { directory, guards, relays, self, local, random } = this.#init;
    this.#limit.take();
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted();
      const path = chooseCircuitPath({ ...need, directory, guards, relays, self, local, ...(random && { random }) });
      const { guard } = path;
      try {
        const node = await this.#nodeFor(guard, signal);
        this.#init.nodes.prepare(addressOf(this.#init, guard));
        return { path, node, built: () => guards.built(guard), failed: () => guards.failed(guard) };
      } catch (error) {
        if (this.#stopped || !(error instanceof LinkError) || !this.#init.relayIsThere()) throw error;
        guards.unreachable(guard);
        if (attempt >= limits.guardsMax) throw error;
      }
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#node?.stop();
  }

  async #nodeFor(guard: PeerId, signal: AbortSignal | undefined): Promise<AskingNode> {
    if (this.#node?.guard === guard && this.#node.isLinked) return this.#node;
    const before = this.#node;
    this.#node = undefined;
    await before?.stop();
    const node = await this.#init.nodes.take(addressOf(this.#init, guard), signal);
    if (this.#stopped) {
      await node.stop();
      throw new LinkError('closed', guard, 'the conversation is over');
    }
    this.#node = node;
    return node;
  }
}

function addressOf({ directory }: Pick<AskerInit, 'directory'>, peer: PeerId): GuardAddress {
  return { peer, addresses: directory.announcements().find((each) => each.peer === peer)?.addresses ?? [] };
}
