/**
 * Chooses the stages of a route: a cover of all layers, end to end, with the least expected time a step,
 * drawn at random among those within 15 % of the best, so that no one stage attracts everybody.
 */
import type { Announcement, ManifestHash, PeerId, Span } from '@unfed/protocol';
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
  /** Peers that failed a moment ago. */
  readonly without?: ReadonlySet<PeerId>;
  /** One-way delay to a peer as measured, ms. */
  readonly linkDelayMs?: (peer: PeerId) => number | undefined;
  /** In [0, 1). */
  readonly random?: () => number;
}

interface Edge {
  readonly hop: Hop;
  readonly costMs: number;
}

/** @throws NoRouteError naming the layers that nobody serves */
export function planRoute(request: PlanRequest): Hop[] {
  const edges = edgesByFirstLayer(request);
  const toGoMs = costToGo(edges, request.span);
  const bestMs = toGoMs.get(request.span.first);
  if (bestMs === undefined) throw noRoute(request, edges);
  const random = request.random ?? Math.random;
  const hops: Hop[] = [];
  let spentMs = 0;
  let layer = request.span.first;
  while (layer < request.span.last) {
    const good = (edges.get(layer) ?? []).filter((edge) => {
      const restMs = toGoMs.get(edge.hop.span.last);
      return restMs !== undefined && spentMs + edge.costMs + restMs <= bestMs * limits.planSlackRatio + 1e-9;
    });
    const edge = good[Math.floor(random() * good.length)];
    hops.push(edge.hop);
    spentMs += edge.costMs;
    layer = edge.hop.span.last;
  }
  return hops;
}

function edgesByFirstLayer({ announcements, manifest, without, linkDelayMs }: PlanRequest): Map<number, Edge[]> {
  const edges = new Map<number, Edge[]>();
  for (const { peer, stage } of announcements) {
    if (stage === null || stage.manifest !== manifest || without?.has(peer) === true) continue;
    const stepMs = stage.stepsPerSecond > 0 ? 1000 / stage.stepsPerSecond : 1000;
    // A session that is open computes only now and then: each adds a part of a step to the expected wait.
    const costMs = (linkDelayMs?.(peer) ?? limits.linkDelayMsDefault) + stepMs * (1 + stage.queueLength / 2);
    const list = edges.get(stage.span.first) ?? [];
    list.push({ hop: { peer, span: stage.span, backend: stage.backend }, costMs });
    edges.set(stage.span.first, list);
  }
  return edges;
}

/** The least cost from each layer to the end of the span; layers from which the end cannot be reached are absent. */
function costToGo(edges: ReadonlyMap<number, readonly Edge[]>, span: Span): Map<number, number> {
  const toGoMs = new Map<number, number>([[span.last, 0]]);
  for (let layer = span.last - 1; layer >= span.first; layer--) {
    for (const { hop, costMs } of edges.get(layer) ?? []) {
      const restMs = toGoMs.get(hop.span.last);
      if (restMs === undefined) continue;
      const best = toGoMs.get(layer);
      if (best === undefined || costMs + restMs < best) toGoMs.set(layer, costMs + restMs);
    }
  }
  return toGoMs;
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
