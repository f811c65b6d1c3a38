/** Measuring fairly on a machine that also does other things: interleaved runs, medians, ratios of the same run. */
import { InvalidValueError } from '@unfed/protocol';

/** @throws InvalidValueError for no values */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  if (low === undefined || high === undefined) throw new InvalidValueError('median', 'at least one value', 'none');
  return (low + high) / 2;
}

/** Median of the quotients a[i] / b[i], so that a busy moment, which hits both of a round, cancels out. */
export function ratio(numerators: readonly number[], denominators: readonly number[]): number {
  if (numerators.length !== denominators.length) {
    throw new InvalidValueError('ratio', `${numerators.length} denominators`, String(denominators.length));
  }
  return median(numerators.map((value, round) => value / (denominators[round] ?? Number.NaN)));
}

/**
 * Runs every variant once a round, in an order that turns with the rounds, so that none is always first.
 * @param variants name → one measurement, in any unit
 * @param rounds at least 1; the median of an odd number is one that was measured
 * @returns name → its measurements, by round
 */
export async function interleave<Name extends string>(
  variants: Readonly<Record<Name, () => Promise<number>>>,
  rounds: number,
  signal?: AbortSignal,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(variants) as Name[];
  const measured = Object.fromEntries(names.map((name): [Name, number[]] => [name, []])) as Record<Name, number[]>;
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + turn) % names.length];
      if (name === undefined) continue;
      signal?.throwIfAborted();
      measured[name].push(await variants[name]());
    }
  }
  return measured;
}

/** Milliseconds that `work` takes. */
export async function timeMs(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

/** What this process has computed so far, all its threads together, in milliseconds of one core: waiting does not count. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
