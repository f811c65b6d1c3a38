/**
 * A swarm of simulated peers with the real picker, choker and turns at the origin, on a virtual clock: how close the last
 * peer comes to the bound that the upload capacities set, what the origin sends, and whether a chunk is ever lost when
 * the origin goes. `npm run bench -- swarm-sim [--peers 100,1000] [--mib 128] [--seed 1]`.
 */
import { parseArgs } from 'node:util';
import { runSwarm, type SwarmOutcome } from './swarm-sim-run.ts';

export interface SwarmSimResult {
  /** Seconds until the last peer had everything, over the least that the upload capacities allow. */
  readonly timeRatio: number;
  /** What the origin sent, in copies of the model. */
  readonly originCopies: number;
  /** Chunks of which, after the origin left, no peer had a copy any more: the most at any time. */
  readonly lost: number;
  readonly simulatedSeconds: number;
  readonly boundSeconds: number;
  readonly peersLeft: number;
  readonly wastedPart: number;
}

/** @param args see above @returns by peer count, what is reached with an origin that stays and with one that leaves */
export async function bench(args: readonly string[]): Promise<Record<string, SwarmSimResult>> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      peers: { type: 'string', default: '100,1000' },
      mib: { type: 'string', default: '128' },
      seed: { type: 'string', default: '1' },
    },
  });
  const results: Record<string, SwarmSimResult> = {};
  for (const peers of values.peers.split(',').map(Number)) {
    const common = { peers, chunks: Number(values.mib), seed: Number(values.seed) };
    const stays = runSwarm({ ...common, originLeavesAtCopies: Infinity });
    const leaves = runSwarm({ ...common, originLeavesAtCopies: 1.5 });
    results[peers] = summary(stays, leaves);
  }
  return results;
}

function summary(stays: SwarmOutcome, leaves: SwarmOutcome): SwarmSimResult {
  return {
    timeRatio: Math.max(stays.seconds / stays.boundSeconds, leaves.seconds / leaves.boundSeconds),
    originCopies: Math.max(stays.originCopies, leaves.originCopies),
    lost: leaves.lost,
    simulatedSeconds: stays.seconds,
    boundSeconds: stays.boundSeconds,
    peersLeft: stays.peersLeft,
    wastedPart: stays.wastedPart,
  };
}
