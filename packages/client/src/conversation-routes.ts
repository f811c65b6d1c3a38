/** The route of a conversation: found, opened, kept from turn to turn with what its stages hold, and given back. */
import {
  layersOfOthers,
  NoRouteError,
  openDirectRoute,
  openOwnLayers,
  planRoute,
  StageLostError,
  StageRefusedError,
  StepTimeoutError,
} from '@unfed/inference';
import type { Hop, OwnRunners, Route, StageLinks } from '@unfed/inference';
import type { Network } from '@unfed/network';
import type { Manifest, ManifestHash, PeerId, Precision } from '@unfed/protocol';
import { directoryReady } from './directory-ready.ts';
import * as limits from './limits.ts';
import type { PeerPenalties } from './peer-penalties.ts';
import type { AnswerEvent } from './peer.ts';

/** A route and the tokens whose positions its stages hold. */
export interface Conversation {
  readonly route: Route;
  readonly precision: Precision;
  readonly held: number[];
}

export interface RouteRequest {
  /** That the session must hold, prompt and answer. */
  readonly positions: number;
  readonly precision: Precision;
  /** Peers that failed this answer already; those that fail here are added. */
  readonly without: Set<PeerId>;
  readonly signal?: AbortSignal;
}

export interface RouteParts {
  readonly hash: ManifestHash;
  readonly manifest: Manifest;
  readonly network: Network;
  readonly links: StageLinks;
  /** Shared by all chats of a peer: who failed one of them is tried last by the others. */
  readonly penalties: PeerPenalties;
  /** Layers that run here; a route covers the others. */
  readonly own?: OwnRunners;
}

export type StageFailure = StageLostError | StageRefusedError | StepTimeoutError;

export function isStageFailure(error: unknown): error is StageFailure {
  return error instanceof StageLostError || error instanceof StageRefusedError || error instanceof StepTimeoutError;
}

export class ConversationRoutes {
  readonly #parts: RouteParts;
  readonly #positionsMax: number;
  #kept: Conversation | undefined;
  #idle: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  /** @param positionsMax the longest session */
  constructor(parts: RouteParts, positionsMax: number) {
    this.#parts = parts;
    this.#positionsMax = positionsMax;
  }

  /**
   * The route of the turn before, where it lives and is long enough; else a new one, over other stages when some fail.
   * @throws NoRouteError, RelayUnreachableError, the last stage's failure, the signal's reason
   */
  async *take(request: RouteRequest): AsyncGenerator<AnswerEvent, Conversation, void> {
    const kept = this.#kept;
    this.#kept = undefined;
    clearTimeout(this.#idle);
    if (kept !== undefined) {
      const fits = kept.route.positionsMax >= request.positions && kept.precision === request.precision;
      if (kept.route.alive && fits) return kept;
      kept.route.close();
    }
    yield { kind: 'progress', stage: 'planning', note: 'choosing volunteers' };
    await directoryReady(this.#parts.network, request.signal);
    for (let attempt = 1; ; attempt++) {
      const hops = this.#plan(request.without);
      yield { kind: 'progress', stage: 'connecting', note: `connecting to ${hops.length} stages` };
      try {
        return { route: await this.#open(hops, request), precision: request.precision, held: [] };
      } catch (error) {
        if (!isStageFailure(error)) throw error;
        this.blame(error, request.without);
        if (attempt >= limits.routeAttemptsMax || !this.canPlan(request.without)) throw error;
      }
    }
  }

  /** Gives a conversation back after its turn, for the next. */
  keep(conversation: Conversation): void {
    if (!conversation.route.alive) {
      conversation.route.close();
      return;
    }
    this.#giveBack();
    this.#kept = conversation;
    if (this.#closed) this.#giveBack();
    else this.#idle = setTimeout(() => this.#giveBack(), limits.routeIdleMsMax);
  }

  /** Remembers a failure; a peer that is known to have failed is not used again for this answer. */
  blame(error: StageFailure, without: Set<PeerId>): void {
    if (error instanceof StepTimeoutError) {
      this.#parts.penalties.add(error.suspects);
      return;
    }
    this.#parts.penalties.add([error.peer]);
    without.add(error.peer);
  }

  /** Would the next route pass over at least one of these peers? */
  canPlanBeside(hops: readonly Hop[], without: ReadonlySet<PeerId>): boolean {
    const peers = new Set(hops.map(({ peer }) => peer));
    return this.canPlan(without) && this.#plan(without).some(({ peer }) => !peers.has(peer));
  }

  /** Is there a route without these peers? */
  canPlan(without: ReadonlySet<PeerId>): boolean {
    try {
      this.#plan(without);
      return true;
    } catch (error) {
      if (error instanceof NoRouteError) return false;
      throw error;
    }
  }

  /** Nothing is kept from here on; an answer under way ends its route when it is over. */
  close(): void {
    this.#closed = true;
    this.#giveBack();
  }

  #giveBack(): void {
    clearTimeout(this.#idle);
    this.#kept?.route.close();
    this.#kept = undefined;
  }

  #plan(without: ReadonlySet<PeerId>): Hop[] {
    const { network, hash, manifest, own = {} } = this.#parts;
    return planRoute({
      announcements: network.directory.announcements(),
      manifest: hash,
      model: manifest.name,
      span: layersOfOthers(own, manifest.architecture.layers),
      without,
      penaltyMs: this.#parts.penalties.ms,
    });
  }

  #open(hops: readonly Hop[], { positions, precision, signal }: RouteRequest): Promise<Route> {
    const { links, network, hash, manifest, own = {} } = this.#parts;
    const roomy = Math.ceil((positions + limits.positionsSpare) / limits.positionsStep) * limits.positionsStep;
    const positionsMax = Math.min(roomy, this.#positionsMax);
    return openOwnLayers(own, positionsMax, () =>
      openDirectRoute({
        links,
        directory: network.directory,
        hops,
        manifest: hash,
        width: manifest.architecture.width,
        positionsMax,
        precision,
        signal,
      }),
    );
  }
}
