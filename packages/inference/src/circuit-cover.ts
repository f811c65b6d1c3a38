/**
 * Cover for a circuit: dummy steps and loops at Poisson times, so that who counts cells on a link cannot tell when somebody
 * reads or types. Off unless asked for. A dummy step goes where a step of one position goes and is computed nowhere; stages
 * know it for what it is, forwarders do not.
 */
import { limits as circuitLimits } from '@unfed/circuit';
import type { CircuitRoute } from './circuit-route.ts';

export interface CoverOptions {
  /** Mean time between two of them, ms. */
  readonly meanMs: number;
  /** In [0, 1). */
  readonly random?: () => number;
}

/** Bytes that a link carries for one cell, its length word included. */
const linkBytesPerCell = circuitLimits.cellBytes + 4;

/**
 * What cover costs, in bytes a second, when nothing else passes: at the client, and on all links together.
 * @param cells of a step of one position
 */
export function coverBytesPerSecond(
  { path }: Pick<CircuitRoute, 'path'>,
  { meanMs, cells }: { readonly meanMs: number; readonly cells: number },
): { readonly client: number; readonly allLinks: number } {
  const forwarding = 1 + path.forwarders.length;
  const hops = forwarding + path.stages.length;
  const dummy = { client: 2 * cells, allLinks: cells * (path.stages.length + 1 + 2 * forwarding) };
  // To hop h and back: 2 × (h + 1) links; any hop is as likely.
  const loop = { client: 2, allLinks: hops + 1 };
  const each = (linkBytesPerCell / 2) * (1000 / meanMs);
  return { client: each * (dummy.client + loop.client), allLinks: each * (dummy.allLinks + loop.allLinks) };
}

/** @returns a function that stops it; the end of the route does so too */
export function startCover(
  route: Pick<CircuitRoute, 'alive' | 'path' | 'loop' | 'dummyStep'>,
  { meanMs, random = Math.random }: CoverOptions,
): () => void {
  const hops = 1 + route.path.forwarders.length + route.path.stages.length;
  let timer: ReturnType<typeof setTimeout>;
  const wait = (): void => {
    // Exponential waits make a Poisson process.
    timer = setTimeout(send, -Math.log(1 - random()) * meanMs);
  };
  const send = (): void => {
    if (!route.alive) return;
    if (random() < 0.5) route.dummyStep();
    else route.loop(Math.floor(random() * hops));
    wait();
  };
  wait();
  return () => clearTimeout(timer);
}
