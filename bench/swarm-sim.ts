/**
 * A swarm of simulated peers with the real picker, choker and turns at the origin, on a virtual clock: how close the last
 * peer comes to the bound that the upload capacities set, what the origin sends, and whether a chunk is ever lost when
 * the origin goes. What is simulated and what is not: swarm-sim-run.ts. The worst of all seeds is reported, each run once
 * with an origin that stays and once with one that goes.
 *
 * `npm run bench -- swarm-sim [--peers 100,1000] [--mib 128] [--seeds 1,2,3]`.
 */
import { parseArgs } from 'node:util';
import { runSwarm, type SwarmOutcome } from './swarm-sim-run.ts';

export interface SwarmSimResult {
  /** Seconds until the last peer had everything, over the least that the upload capacities allow; null where one never had. */
  readonly timeRatio: number | null;
  /** What the origin sent, in copies of the model. */
  readonly originCopies: number;
  /** Chunks of which, after the origin left, no peer had a copy any more: the most at any time. */
  readonly lost: number;
  /** Copies of the rarest chunk when the origin left: the fewest. */
  readonly rarestCopies: number;
  readonly seconds: number | null;
  readonly boundSeconds: number;
  /** Peers that went before they had everything. */
  readonly peersLeft: number;
  readonly wastedPart: number;
}

/** @param args see above @returns by peer count */
export async function bench(args: readonly string[]): Promise<Record<string, SwarmSimResult>> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      peers: { type: 'string', default: '100,1000' },
      mib: { type: 'string', default: '128' },
      seeds: { type: 'string', default: '1,2,3' },
    },
  });
  const results: Record<string, SwarmSimResult> = {};
  for (const peers of numbers(values.peers)) {
    const outcomes: SwarmOutcome[] = [];
    for (const seed of numbers(values.seeds)) {
      for (const originLeavesAtCopies of [Infinity, 1.5]) {
        const outcome = runSwarm({ peers, chunks: Number(values.mib), seed, originLeavesAtCopies });
        console.error(line({ peers, seed, originLeavesAtCopies }, outcome));
        outcomes.push(outcome);
      }
    }
    results[peers] = worst(outcomes);
  }
  return results;
}

function numbers(list: string): number[] {
  return list.split(',').map(Number);
}

function ratioOf({ seconds, boundSeconds }: SwarmOutcome): number {
  return seconds === undefined ? Infinity : seconds / boundSeconds;
}

function line(
  run: { readonly peers: number; readonly seed: number; readonly originLeavesAtCopies: number },
  outcome: SwarmOutcome,
): string {
  const { originCopies, originLeft, lost, seconds } = outcome;
  const time =
    seconds === undefined
      ? `no time ratio: ${lost} chunks were lost, which some peers never had`
      : `time ratio ${ratioOf(outcome).toFixed(3)}`;
  const left =
    originLeft === undefined
      ? 'the origin stayed'
      : `the origin left after ${originLeft.seconds.toFixed(0)} s, when the rarest chunk had ${originLeft.rarestCopies} copies`;
  return `${run.peers} peers, seed ${run.seed}: ${time}, ${originCopies.toFixed(3)} copies from the origin; ${left}`;
}

function worst(outcomes: readonly SwarmOutcome[]): SwarmSimResult {
  const [slowest] = [...outcomes].sort((a, b) => ratioOf(b) - ratioOf(a));
  const most = (value: (outcome: SwarmOutcome) => number): number => Math.max(...outcomes.map(value));
  const timeRatio = most(ratioOf);
  return {
    timeRatio: Number.isFinite(timeRatio) ? timeRatio : null,
    originCopies: most(({ originCopies }) => originCopies),
    lost: most(({ lost }) => lost),
    rarestCopies: Math.min(...outcomes.flatMap(({ originLeft }) => originLeft?.rarestCopies ?? [])),
    seconds: slowest?.seconds ?? null,
    boundSeconds: slowest?.boundSeconds ?? 0,
    peersLeft: most(({ peersLeft }) => peersLeft),
    wastedPart: most(({ wastedPart }) => wastedPart),
  };
}
