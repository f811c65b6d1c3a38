/** How the routes of a chat are found and opened: straight to the stages, or by circuits under the conversation's identity. */
import {
  layersOfOthers,
  openCircuitRoute,
  openDirectRoute,
  planRoute,
  StageRefusedError,
  type CircuitRoute,
  type Hop,
  type OwnRunners,
  type Route,
  type StageLinks,
} from '@unfed/inference';
import type { Network } from '@unfed/network';
import type { Manifest, ManifestHash, PeerId, Precision } from '@unfed/protocol';
import type { Asker, AskingConversation, CircuitWay } from './asker.ts';
import type { ForwarderCount } from './circuit-path.ts';
import type { PeerPenalties } from './peer-penalties.ts';

export interface RouteParts {
  readonly hash: ManifestHash;
  readonly manifest: Manifest;
  readonly network: Network;
  readonly links: StageLinks;
  /** Shared by all chats of a peer: who failed one of them is tried last by the others. */
  readonly penalties: PeerPenalties;
  /** Layers that run here; a route covers the others. */
  readonly own?: OwnRunners;
  /** Routes are circuits; straight to the stages, which then see who asks, when absent. */
  readonly circuits?: { readonly asker: Asker; readonly forwarders?: ForwarderCount };
}

export interface OpenRequest {
  readonly positionsMax: number;
  readonly precision: Precision;
  /** Peers that failed this answer already. */
  readonly without: ReadonlySet<PeerId>;
  readonly signal?: AbortSignal;
}

export interface RouteWays {
  /** Stages of some route that could be opened now. @throws NoRouteError, NoPathError */
  plan(without: ReadonlySet<PeerId>): readonly Hop[];
  /** What is being done, for the page. */
  note(stages: number): string;
  /** @throws as `openDirectRoute` and `openCircuitRoute` do, and what finding the way throws */
  open(request: OpenRequest): Promise<Route>;
  /** The route that was opened last failed with this. */
  broke(error: Error): void;
  /** The conversation is over: nothing of it serves the next one. */
  end(): void;
}

export function routeWays(parts: RouteParts): RouteWays {
  return parts.circuits === undefined ? new StraightWays(parts) : new CircuitWays(parts, parts.circuits);
}

function toCover({ hash, manifest, own = {}, penalties }: RouteParts) {
  return {
    manifest: hash,
    model: manifest.name,
    span: layersOfOthers(own, manifest.architecture.layers),
    penaltyMs: penalties.ms,
  };
}

class StraightWays implements RouteWays {
  readonly #parts: RouteParts;

  constructor(parts: RouteParts) {
    this.#parts = parts;
  }

  plan(without: ReadonlySet<PeerId>): Hop[] {
    return planRoute({
      ...toCover(this.#parts),
      announcements: this.#parts.network.directory.announcements(),
      without,
    });
  }

  note(stages: number): string {
    return `connecting to ${stages} stages`;
  }

  async open({ without, ...request }: OpenRequest): Promise<Route> {
    const { links, network, hash, manifest } = this.#parts;
    return openDirectRoute({
      links,
      directory: network.directory,
      hops: this.plan(without),
      manifest: hash,
      width: manifest.architecture.width,
      ...request,
    });
  }

  broke(): void {
    // The peers that failed are remembered by whoever asks; there is no one else.
  }

  end(): void {
    // Stages know who asks anyway.
  }
}

class CircuitWays implements RouteWays {
  readonly #parts: RouteParts;
  readonly #asker: Asker;
  readonly #forwarders: ForwarderCount | undefined;
  #conversation: AskingConversation | undefined;
  /** Of the circuit that was built last, until it is known to have failed. */
  #way: CircuitWay | undefined;

  constructor(parts: RouteParts, { asker, forwarders }: NonNullable<RouteParts['circuits']>) {
    this.#parts = parts;
    this.#asker = asker;
    this.#forwarders = forwarders;
  }

  plan(without: ReadonlySet<PeerId>): readonly Hop[] {
    return this.#asker.path(this.#need(without)).stages;
  }

  note(stages: number): string {
    return `building a circuit to ${stages} stages`;
  }

  async open({ without, ...request }: OpenRequest): Promise<CircuitRoute> {
    const { network, hash, manifest } = this.#parts;
    this.#conversation ??= this.#asker.conversation();
    const way = await this.#conversation.next({ ...this.#need(without), signal: request.signal });
    this.#way = way;
    try {
      const route = await openCircuitRoute({
        links: way.links,
        directory: network.directory,
        path: way.path,
        manifest: hash,
        width: manifest.architecture.width,
        ...request,
      });
      way.built();
      return route;
    } catch (error) {
      if (request.signal?.aborted === true) this.#way = undefined;
      throw error;
    }
  }

  broke(error: Error): void {
    const way = this.#way;
    this.#way = undefined;
    // A stage that refuses was reached: the circuit works. Whatever else fails might be the guard's doing.
    if (!(error instanceof StageRefusedError)) way?.failed();
  }

  end(): void {
    const conversation = this.#conversation;
    this.#conversation = undefined;
    this.#way = undefined;
    void conversation?.stop();
  }

  #need(without: ReadonlySet<PeerId>) {
    const forwarders = this.#forwarders;
    return { ...toCover(this.#parts), without, ...(forwarders === undefined ? {} : { forwarders }) };
  }
}
