/** The route of a conversation: found, opened, kept from turn to turn with what its stages hold, and given back. */
import {
  HopLostError,
  NoRouteError,
  openOwnLayers,
  StageLostError,
  StageRefusedError,
  StepTimeoutError,
  type Hop,
  type Route,
} from '@unfed/inference';
import type { PeerId, Precision } from '@unfed/protocol';
import { NoPathError } from './circuit-path.ts';
import { directoryReady } from './directory-ready.ts';
import * as limits from './limits.ts';
import type { AnswerEvent } from './peer.ts';
import { routeWays, type RouteParts, type RouteWays } from './route-ways.ts';

export type { RouteParts } from './route-ways.ts';

/** A route and the tokens whose positions its stages hold. */
export interface Conversation {
  readonly route: Route;
  readonly precision: Precision;
  readonly held: number[];
  readonly era: Era;
}

/** From one renewal to the next: what belongs together, and has nothing in common with what comes after. */
interface Era {
  readonly ways: RouteWays;
  /** Routes of it that answers use now. */
  taken: number;
}

export interface RouteRequest {
  /** That the session must hold, prompt and answer. */
  readonly positions: number;
  readonly precision: Precision;
  /** Peers that failed this answer already; those that fail here are added. */
  readonly without: Set<PeerId>;
  readonly signal?: AbortSignal;
}

export type RouteFailure = HopLostError | StageLostError | StageRefusedError | StepTimeoutError;

const routeFailures = [HopLostError, StageLostError, StageRefusedError, StepTimeoutError];

/** Whether another route may do better. */
export function isRouteFailure(error: unknown): error is RouteFailure {
  return routeFailures.some((kind) => error instanceof kind);
}

export class ConversationRoutes {
  readonly #parts: RouteParts;
  readonly #positionsMax: number;
  #kept: Conversation | undefined;
  #idle: ReturnType<typeof setTimeout> | undefined;
  #era: Era;
  #closed = false;

  /** @param positionsMax the longest session */
  constructor(parts: RouteParts, positionsMax: number) {
    this.#parts = parts;
    this.#era = { ways: routeWays(parts), taken: 0 };
    this.#positionsMax = positionsMax;
  }

  /**
   * The route of the turn before, where it lives and is long enough; else a new one, over other stages when some fail.
   * @throws NoRouteError, NoPathError, RelayUnreachableError, RebuildLimitError, LinkError for guards that cannot be
   * reached, the last route's failure, the signal's reason
   */
  async *take(request: RouteRequest): AsyncGenerator<AnswerEvent, Conversation, void> {
    const kept = this.#kept;
    this.#kept = undefined;
    clearTimeout(this.#idle);
    if (kept !== undefined) {
      const fits = kept.route.positionsMax >= request.positions && kept.precision === request.precision;
      if (kept.route.alive && fits) {
        kept.era.taken++;
        return kept;
      }
      kept.route.close();
    }
    yield { kind: 'progress', stage: 'planning', note: 'choosing volunteers' };
    await directoryReady(this.#parts.network, request.signal);
    const era = this.#era;
    for (let attempt = 1; ; attempt++) {
      const { length } = era.ways.plan(request.without);
      yield { kind: 'progress', stage: 'connecting', note: era.ways.note(length) };
      era.taken++;
      try {
        return { route: await this.#open(era.ways, request), precision: request.precision, held: [], era };
      } catch (error) {
        this.#release(era);
        if (!isRouteFailure(error)) throw error;
        this.blame(error, era, request.without);
        if (attempt >= limits.routeAttemptsMax || !this.canPlan(request.without)) throw error;
      }
    }
  }

  /** Gives a conversation back after its turn, for the next. */
  keep(conversation: Conversation): void {
    const { route, era } = conversation;
    if (this.#closed || era !== this.#era || !route.alive) {
      route.close();
    } else {
      this.#giveBack();
      this.#kept = conversation;
      this.#idle = setTimeout(() => this.#giveBack(), limits.routeIdleMsMax);
    }
    this.#release(era);
  }

  /** Remembers a failure; a peer that is known to have failed is not used again for this answer. */
  blame(error: RouteFailure, era: Era, without: Set<PeerId>): void {
    era.ways.broke(error);
    const suspects = 'suspects' in error ? error.suspects : [error.peer];
    this.#parts.penalties.add(suspects);
    // Of several that may have passed nothing on, most did nothing wrong.
    if (suspects.length === 1 && !(error instanceof StepTimeoutError)) without.add(suspects[0]);
  }

  /** Would the next route pass over at least one of these peers? */
  canPlanBeside(hops: readonly Hop[], without: ReadonlySet<PeerId>): boolean {
    const peers = new Set(hops.map(({ peer }) => peer));
    return this.canPlan(without) && this.#era.ways.plan(without).some(({ peer }) => !peers.has(peer));
  }

  /** Is there a route without these peers? */
  canPlan(without: ReadonlySet<PeerId>): boolean {
    try {
      this.#era.ways.plan(without);
      return true;
    } catch (error) {
      if (error instanceof NoRouteError || error instanceof NoPathError) return false;
      throw error;
    }
  }

  /** Nothing is kept from here on; an answer under way ends its route when it is over. */
  close(): void {
    this.#closed = true;
    this.renew();
  }

  /** What comes next has nothing in common with what was: no session, and with circuits no identity. */
  renew(): void {
    this.#giveBack();
    const before = this.#era;
    this.#era = { ways: routeWays(this.#parts), taken: 0 };
    if (before.taken === 0) before.ways.end();
  }

  #release(era: Era): void {
    era.taken--;
    if (era.taken === 0 && (this.#closed || era !== this.#era)) era.ways.end();
  }

  #giveBack(): void {
    clearTimeout(this.#idle);
    this.#kept?.route.close();
    this.#kept = undefined;
  }

  #open(ways: RouteWays, { positions, precision, without, signal }: RouteRequest): Promise<Route> {
    const { own = {} } = this.#parts;
    const roomy = Math.ceil((positions + limits.positionsSpare) / limits.positionsStep) * limits.positionsStep;
    const positionsMax = Math.min(roomy, this.#positionsMax);
    return openOwnLayers(own, positionsMax, () => ways.open({ positionsMax, precision, without, signal }));
  }
}
