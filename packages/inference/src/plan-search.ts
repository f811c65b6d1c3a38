/**
 * Searches the covers of a span: the cheapest, and a random one among those that are cheap enough. Stages that share a
 * label (one operator, one network) never stand in one plan. Without labels the cost to go is exact and nothing is ever
 * taken back; with them it is a bound, and the search backs out of what does not fit.
 */
import type { Span } from '@unfed/protocol';
import * as limits from './limits.ts';
import type { Hop } from './route.ts';

export interface Edge {
  readonly hop: Hop;
  /** With its penalty. */
  readonly costMs: number;
  readonly penaltyMs: number;
  /** Labels that no other stage of the plan may have. */
  readonly kin: readonly string[];
}

export type Edges = ReadonlyMap<number, readonly Edge[]>;

interface ToGo {
  readonly costMs: number;
  readonly penaltyMs: number;
}

export interface PlanGraph {
  /** By the first layer of their spans. */
  readonly edges: Edges;
  /** `costToGo` of these. */
  readonly toGo: ReadonlyMap<number, ToGo>;
  readonly span: Span;
}

export interface Plan extends ToGo {
  readonly edges: readonly Edge[];
}

/** The least cost from each layer to the end of the span, whoever is kin; layers from which the end cannot be reached are absent. */
export function costToGo(edges: Edges, span: Span): Map<number, ToGo> {
  const toGo = new Map<number, ToGo>([[span.last, { costMs: 0, penaltyMs: 0 }]]);
  for (let layer = span.last - 1; layer >= span.first; layer--) {
    for (const { hop, costMs, penaltyMs } of edges.get(layer) ?? []) {
      const rest = toGo.get(hop.span.last);
      if (rest === undefined) continue;
      const best = toGo.get(layer);
      if (best !== undefined && costMs + rest.costMs >= best.costMs) continue;
      toGo.set(layer, { costMs: costMs + rest.costMs, penaltyMs: penaltyMs + rest.penaltyMs });
    }
  }
  return toGo;
}

/** Branch and bound. @returns undefined where no plan is allowed, or none was found within `planStepsMax` */
export function cheapestPlan(graph: PlanGraph): Plan | undefined {
  let best: Plan | undefined;
  const walk = new Walk(graph);
  const visit = (layer: number): void => {
    if (layer === graph.span.last) {
      best = walk.plan();
      return;
    }
    // Of two with the same kin and the same end, the dearer leads nowhere better.
    const seen = new Set<string>();
    const cheapestFirst = walk.next(layer).sort((a, b) => a.leastMs - b.leastMs);
    for (const { edge, leastMs } of cheapestFirst) {
      const kind = kindOf(edge);
      if (seen.has(kind) || (best !== undefined && leastMs >= best.costMs)) continue;
      seen.add(kind);
      walk.enter(edge);
      visit(edge.hop.span.last);
      walk.leave();
    }
  };
  visit(graph.span.first);
  return best;
}

/**
 * Every allowed plan of at most `enoughMs` may be drawn.
 * @param random in [0, 1)
 * @returns undefined where there is none, or none was found within `planStepsMax`
 */
export function drawPlan(graph: PlanGraph, enoughMs: number, random: () => number): readonly Edge[] | undefined {
  const walk = new Walk(graph);
  const visit = (layer: number): boolean => {
    if (layer === graph.span.last) return true;
    const good = walk.next(layer).filter(({ leastMs }) => leastMs <= enoughMs);
    const failedMs = new Map<string, number>();
    while (good.length > 0) {
      const [{ edge }] = good.splice(Math.floor(random() * good.length), 1);
      const kind = kindOf(edge);
      // A cheaper one of the same kind failed already.
      if (edge.costMs >= (failedMs.get(kind) ?? Infinity)) continue;
      walk.enter(edge);
      if (visit(edge.hop.span.last)) return true;
      walk.leave();
      failedMs.set(kind, edge.costMs);
    }
    return false;
  };
  return visit(graph.span.first) ? walk.plan().edges : undefined;
}

interface Candidate {
  readonly edge: Edge;
  /** The least that a whole plan costs which goes on with it. */
  readonly leastMs: number;
}

/** Where a search stands: the stages chosen so far, and what they exclude. */
class Walk {
  readonly #graph: PlanGraph;
  readonly #chosen: Edge[] = [];
  readonly #kin = new Set<string>();
  #spentMs = 0;
  #steps = 0;

  constructor(graph: PlanGraph) {
    this.#graph = graph;
  }

  /** The stages that may follow from this layer on; none when the search has taken too long. */
  next(layer: number): Candidate[] {
    const edges = this.#graph.edges.get(layer) ?? [];
    this.#steps += edges.length;
    if (this.#steps > limits.planStepsMax) return [];
    return edges.flatMap((edge) => {
      const rest = this.#graph.toGo.get(edge.hop.span.last);
      if (rest === undefined || edge.kin.some((label) => this.#kin.has(label))) return [];
      return [{ edge, leastMs: this.#spentMs + edge.costMs + rest.costMs }];
    });
  }

  enter(edge: Edge): void {
    this.#chosen.push(edge);
    this.#spentMs += edge.costMs;
    for (const label of edge.kin) this.#kin.add(label);
  }

  leave(): void {
    const edge = this.#chosen.pop();
    if (edge === undefined) return;
    this.#spentMs -= edge.costMs;
    for (const label of edge.kin) this.#kin.delete(label);
  }

  plan(): Plan {
    const edges = [...this.#chosen];
    const sum = (ms: (edge: Edge) => number): number => edges.reduce((all, edge) => all + ms(edge), 0);
    return { edges, costMs: sum(({ costMs }) => costMs), penaltyMs: sum(({ penaltyMs }) => penaltyMs) };
  }
}

function kindOf({ hop, kin }: Edge): string {
  return JSON.stringify([hop.span.last, kin]);
}
