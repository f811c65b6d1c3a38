/** What a pool's coverage says about it: whole or not, and where it is weakest. */
import type { PoolView } from '@unfed/client';
import type { Span } from '@unfed/protocol';

export type PoolHealth =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'broken'; readonly missing: readonly Span[] }
  /** `copies`: how many stages serve the weakest layers; `everywhere`: all layers alike. */
  | {
      readonly kind: 'whole';
      readonly copies: number;
      readonly weakest: readonly Span[];
      readonly everywhere: boolean;
    };

/** @returns the runs of consecutive layers for which `wanted` holds */
function runs(coverage: readonly number[], wanted: (count: number) => boolean): Span[] {
  const spans: Span[] = [];
  for (const [layer, count] of coverage.entries()) {
    const last = spans.at(-1);
    if (!wanted(count)) continue;
    if (last?.last === layer) spans[spans.length - 1] = { first: last.first, last: layer + 1 };
    else spans.push({ first: layer, last: layer + 1 });
  }
  return spans;
}

export function poolHealth(pool: PoolView): PoolHealth {
  if (pool.layers === 0 || pool.coverage.length === 0) {
    return { kind: 'unknown' };
  }
  const copies = Math.min(...pool.coverage);
  if (copies === 0) return { kind: 'broken', missing: runs(pool.coverage, (count) => count === 0) };
  const everywhere = pool.coverage.every((count) => count === copies);
  return { kind: 'whole', copies, weakest: runs(pool.coverage, (count) => count === copies), everywhere };
}

/** @returns how many peers serve anything of the pool */
export function volunteersOf(pool: PoolView): number {
  return new Set(pool.stages.map((stage) => stage.peer)).size;
}
