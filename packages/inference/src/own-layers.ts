/**
 * A route of all layers of which the first and the last run at the user's own machine: a step goes through the first own
 * layers, along the route of the others, and through the last own layers. Both keep a cache, which a step's position cuts
 * back as it does a stage's.
 */
import type { SpanRunner } from '@unfed/engine';
import { randomSessionId, type SessionId, type Span } from '@unfed/protocol';
import { OwnLayersBusyError } from './errors.ts';
import type { Hop, Route, RouteStep } from './route.ts';

/** Layers loaded here: `first` begins at layer 0, `last` ends with the model. Either may be absent. */
export interface OwnRunners {
  readonly first?: SpanRunner;
  readonly last?: SpanRunner;
}

/** The layers that a route has to cover. */
export function layersOfOthers({ first, last }: OwnRunners, layers: number): Span {
  return { first: first?.span.last ?? 0, last: last?.span.first ?? layers };
}

/**
 * Reserves the caches here first, so that nobody is asked in vain.
 * @param openRoute opens the route of the layers between, for `positionsMax` positions
 * @throws OwnLayersBusyError, what opening the route throws, DeviceLostError; nothing stays open then
 */
export async function openOwnLayers(
  own: OwnRunners,
  positionsMax: number,
  openRoute: () => Promise<Route>,
): Promise<Route> {
  if (own.first === undefined && own.last === undefined) return openRoute();
  const session = randomSessionId();
  const runners = [own.first, own.last].filter((runner) => runner !== undefined);
  try {
    for (const runner of runners) {
      if ((await runner.open(session, positionsMax)) === 'busy')
        throw new OwnLayersBusyError(runner.span, positionsMax);
    }
    return new OwnLayersRoute(own, session, await openRoute());
  } catch (error) {
    closeAll(runners, session);
    throw error;
  }
}

class OwnLayersRoute implements Route {
  readonly hops: readonly Hop[];
  readonly positionsMax: number;
  readonly #own: OwnRunners;
  readonly #session: SessionId;
  readonly #others: Route;
  /** An own layer failed: what its cache holds is not known. */
  #failed = false;

  constructor(own: OwnRunners, session: SessionId, others: Route) {
    this.hops = others.hops;
    this.positionsMax = others.positionsMax;
    this.#own = own;
    this.#session = session;
    this.#others = others;
  }

  get alive(): boolean {
    return !this.#failed && this.#others.alive;
  }

  /** In order, because runners and routes answer in order. @throws also what a runner's step throws */
  async step({ position, tokens, hidden, wants }: RouteStep): Promise<Float32Array<ArrayBuffer>> {
    const { first, last } = this.#own;
    const entering = await this.#run(first, { position, tokens, hidden, wants: 'all' });
    // The last own layers attend to every position, whatever the caller wants back.
    const asked = last === undefined ? wants : 'all';
    const leaving = await this.#others.step({ position, tokens, hidden: entering, wants: asked });
    return new Float32Array(await this.#run(last, { position, tokens, hidden: leaving, wants }));
  }

  async #run(runner: SpanRunner | undefined, step: RouteStep): Promise<Float32Array> {
    if (runner === undefined) return step.hidden;
    try {
      return await runner.step({ session: this.#session, ...step });
    } catch (error) {
      this.#failed = true;
      throw error;
    }
  }

  close(): void {
    this.#others.close();
    const { first, last } = this.#own;
    closeAll([first, last], this.#session);
  }
}

function closeAll(runners: readonly (SpanRunner | undefined)[], session: SessionId): void {
  for (const runner of runners) {
    // An engine that is gone took its sessions along.
    runner?.close(session).catch(() => undefined);
  }
}
