/**
 * Chooses the stages of a route: a cover of all layers, end to end, with the least expected time a step,
 * drawn at random among those within 15 % of the best, so that no one stage attracts everybody. What stages say of
 * their speed is believed up to a limit, and peers that failed are passed over while others serve their layers.
 */
import type { Announcement, ManifestHash, PeerId, Span, StageOffer } from '@unfed/protocol';
import { NoRouteError } from './errors.ts';
import * as limits from './limits.ts';
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
  /** What is added to the expected cost of a peer that failed, ms. */
  readonly penaltyMs?: (peer: PeerId) => number;
  /** One-way delay to a peer as measured, ms. */
  readonly linkDelayMs?: (peer: PeerId) => number | undefined;
  /** In [0, 1). */
  readonly random?: () => number;
}

interface Edge {
  readonly hop: Hop;
  /** With its penalty. */
  readonly costMs: number;
  readonly penaltyMs: number;
}

interface ToGo {
  readonly costMs: number;
  readonly penaltyMs: number;
}

/** @throws NoRouteError naming the layers that nobody serves */
export function planRoute(request: PlanRequest): Hop[] {
  const edges = edgesByFirstLayer(request);
  const toGo = costToGo(edges, request.span);
  const best = toGo.get(request.span.first);
  if (best === undefined) throw noRoute(request, edges);
  // Slack is for time alone: as a part of penalties it would be wide enough for any peer that failed.
  const enoughMs = best.costMs + (best.costMs - best.penaltyMs) * (limits.planSlackRatio - 1) + 1e-6;
  const random = request.random ?? Math.random;
  const hops: Hop[] = [];
  let spentMs = 0;
  let layer = request.span.first;
  while (layer < request.span.last) {
    const good = (edges.get(layer) ?? []).filter((edge) => {
      const rest = toGo.get(edge.hop.span.last);
      return rest !== undefined && spentMs + edge.costMs + rest.costMs <= enoughMs;
    });
    const edge = good[Math.floor(random() * good.length)];
    hops.push(edge.hop);
    spentMs += edge.costMs;
    layer = edge.hop.span.last;
  }
  return hops;
}

function edgesByFirstLayer(request: PlanRequest): Map<number, Edge[]> {
  const { announcements, manifest, without, linkDelayMs, penaltyMs } = request;
  const edges = new Map<number, Edge[]>();
  for (const { peer, stage } of announcements) {
    if (stage === null || stage.manifest !== manifest || without?.has(peer) === true) continue;
    const penalty = penaltyMs?.(peer) ?? 0;
    const expectedMs = (linkDelayMs?.(peer) ?? limits.linkDelayMsDefault) + stageMs(stage);
    const list = edges.get(stage.span.first) ?? [];
    const hop = { peer, span: stage.span, backend: stage.backend };
    list.push({ hop, costMs: expectedMs + penalty, penaltyMs: penalty });
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

/** The least cost from each layer to the end of the span; layers from which the end cannot be reached are absent. */
function costToGo(edges: ReadonlyMap<number, readonly Edge[]>, span: Span): Map<number, ToGo> {
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

function noRoute({ model, span }: PlanRequest, edges: ReadonlyMap<number, readonly Edge[]>): NoRouteError {
  const served = [...edges.values()].flat().map((edge) => edge.hop.span);
  return new NoRouteError(model, uncovered(served, span), served);
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
