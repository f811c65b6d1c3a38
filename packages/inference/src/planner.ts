/**
 * Chooses the stages of a route: a cover of all layers, end to end, with the least expected time a step,
 * drawn at random among those within 15 % of the best, so that no one stage attracts everybody. What stages say of
 * their speed is believed up to a limit, and peers that failed are passed over while others serve their layers.
 */
import type { Announcement, ManifestHash, PeerId, Span, StageOffer } from '@unfed/protocol';
import { NoRouteError } from './errors.ts';
import * as limits from './limits.ts';
import { cheapestPlan, costToGo, drawPlan, type Edge, type PlanGraph } from './plan-search.ts';
import type { Hop } from './route.ts';

export interface PlanRequest {
  readonly announcements: readonly Announcement[];
  readonly manifest: ManifestHash;
  /** The model's name, for the error. */
  readonly model: string;
  /** Layers to cover: all, less what the client runs itself. */
  readonly span: Span;
  /** Peers that are not to be used at all. */
  readonly without?: ReadonlySet<PeerId>;
  /** Labels of what peers share with others, an operator or a network: no two stages of a plan have one in common. */
  readonly kinOf?: (peer: PeerId) => readonly string[];
  /** What is added to the expected cost of a peer that failed, ms. */
  readonly penaltyMs?: (peer: PeerId) => number;
  /** One-way delay to a peer as measured, ms. */
  readonly linkDelayMs?: (peer: PeerId) => number | undefined;
  /** In [0, 1). */
  readonly random?: () => number;
}

/** @throws NoRouteError naming the layers that nobody serves; none are named where all are served and no plan is allowed */
export function planRoute(request: PlanRequest): Hop[] {
  const { span, random = Math.random } = request;
  const edges = edgesByFirstLayer(request);
  const graph: PlanGraph = { edges, toGo: costToGo(edges, span), span };
  const best = cheapestPlan(graph);
  if (best === undefined) throw noRoute(request, edges);
  // Slack is for time alone: as a part of penalties it would be wide enough for any peer that failed.
  const enoughMs = best.costMs + (best.costMs - best.penaltyMs) * (limits.planSlackRatio - 1) + 1e-6;
  return (drawPlan(graph, enoughMs, random) ?? best.edges).map(({ hop }) => hop);
}

function edgesByFirstLayer(request: PlanRequest): Map<number, Edge[]> {
  const { announcements, manifest, without, kinOf, linkDelayMs, penaltyMs } = request;
  const edges = new Map<number, Edge[]>();
  for (const { peer, stage } of announcements) {
    if (stage === null || stage.manifest !== manifest || without?.has(peer) === true) continue;
    const penalty = penaltyMs?.(peer) ?? 0;
    const expectedMs = (linkDelayMs?.(peer) ?? limits.linkDelayMsDefault) + stageMs(stage);
    const list = edges.get(stage.span.first) ?? [];
    const hop = { peer, span: stage.span, backend: stage.backend };
    list.push({ hop, costMs: expectedMs + penalty, penaltyMs: penalty, kin: kinOf?.(peer) ?? [] });
    edges.set(stage.span.first, list);
  }
  return edges;
}

/** The time of one step at a stage, as far as what it says is believed. */
function stageMs({ stepsPerSecond, queueLength }: StageOffer): number {
  const stepMs = stepsPerSecond > 0 ? 1000 / Math.min(stepsPerSecond, limits.stepsPerSecondCredibleMax) : 1000;
  // A session that is open computes only now and then: each adds a part of a step to the expected wait.
  return stepMs * (1 + queueLength / 2);
}

function noRoute({ model, span }: PlanRequest, edges: ReadonlyMap<number, readonly Edge[]>): NoRouteError {
  const served = [...edges.values()].flat().map((edge) => edge.hop.span);
  const missing = uncovered(served, span);
  // A stage runs its whole span: one that reaches beyond what is asked for is of no use.
  const within = served.filter(({ first, last }) => span.first <= first && last <= span.last);
  return new NoRouteError(model, { missing, joined: uncovered(within, span) }, served);
}

/** How many of `spans` contain each layer of `[0, layers)`. */
export function coverage(spans: readonly Span[], layers: number): number[] {
  const counts = new Array<number>(layers).fill(0);
  for (const span of spans) {
    for (let layer = span.first; layer < Math.min(span.last, layers); layer++) counts[layer]++;
  }
  return counts;
}

/** The runs of layers of `whole` that none of `spans` contains. */
export function uncovered(spans: readonly Span[], whole: Span): Span[] {
  const counts = coverage(spans, whole.last);
  const runs: { first: number; last: number }[] = [];
  for (let layer = whole.first; layer < whole.last; layer++) {
    if (counts[layer] > 0) continue;
    const run = runs.at(-1);
    if (run?.last === layer) run.last++;
    else runs.push({ first: layer, last: layer + 1 });
  }
  return runs;
}
