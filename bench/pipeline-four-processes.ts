/**
 * A model of Qwen2.5-0.5B's shape over four Node processes with real WebRTC links between them, against the same layers in
 * one process, in the same run: decode with embedding, head and greedy sampling included.
 */
import { join } from 'node:path';
import type { RelayInfo } from '@unfed/client/node';
import { createEngine, type Ends, type Engine, type SpanRunner } from '@unfed/engine/node';
import { createStageLinks, generate, openDirectRoute, planRoute, type Route } from '@unfed/inference';
import { createSampler } from '@unfed/model';
import { createNetwork, type Network } from '@unfed/network/node';
import type { ModelFolder } from '@unfed/model/node';
import { randomIdentity, randomSessionId, type Architecture, type ShardId } from '@unfed/protocol';
import { folderSource } from '@unfed/swarm/node';
import { qwenHalfBillionShape } from '@unfed/testing';
import { randomModelFolder } from '@unfed/testing/node';
import { repository } from '../scripts/child.ts';
import { startLocalPool } from '../scripts/local-pool.ts';
import { interleave, median, ratio } from './measure.ts';

export interface FourProcesses {
  /** Tokens a second over four processes; the same layers in one; the median of the ratios by round. */
  readonly fourProcesses: number;
  readonly oneProcess: number;
  readonly fourProcessesVsOne: number;
}

const seed = 5;
const stages = 4;
const promptTokens = 16;
const tokensPerRound = 48;
const architecture: Architecture = { ...qwenHalfBillionShape, contextLength: 2048 };

export async function benchFourProcesses({ rounds }: { rounds: number }): Promise<FourProcesses> {
  const abort = new AbortController();
  const modelsDir = join(repository, 'build/models-bench');
  const model = await randomModelFolder(modelsDir, architecture, { seed });
  const perStage = architecture.layers / stages;
  const volunteers = Array.from({ length: stages }, (_, i) => ({
    layers: `${i * perStage}-${(i + 1) * perStage}`,
    model: model.hash,
  }));
  const pool = await startLocalPool({ modelsDir, volunteers, signal: abort.signal });
  const engine = await createEngine({ backend: 'node-cpu' });
  let network: Network | undefined;
  try {
    const { manifest } = model;
    const { quantization } = manifest;
    const source = folderSource(modelsDir);
    const read = (id: ShardId) => source.shard(manifest, id);
    const ends = await engine.loadEnds({ architecture, quantization }, read);
    const relay = (await (await fetch(`${pool.url}/relay.json`)).json()) as RelayInfo;
    network = await createNetwork({
      identity: randomIdentity(),
      relays: [relay],
      iceServers: [],
      allowPrivateAddresses: true,
    });
    const far = await routeOverProcesses(network, model);
    const near = await routeInOneProcess(engine, read, quantization);
    const measured = await interleave(
      {
        fourProcesses: () => tokensPerSecond(far, ends),
        oneProcess: () => tokensPerSecond(near, ends),
      },
      rounds,
    );
    far.close();
    return {
      fourProcesses: median(measured.fourProcesses),
      oneProcess: median(measured.oneProcess),
      fourProcessesVsOne: ratio(measured.fourProcesses, measured.oneProcess),
    };
  } finally {
    await network?.stop();
    await pool.stop();
    await engine.dispose();
  }
}

async function routeOverProcesses(network: Network, model: ModelFolder): Promise<Route> {
  const { directory } = network;
  while (directory.announcements().length < stages) await new Promise((resolve) => setTimeout(resolve, 50));
  const { hash, manifest } = model;
  const span = { first: 0, last: architecture.layers };
  const hops = planRoute({ announcements: directory.announcements(), manifest: hash, model: manifest.name, span });
  return openDirectRoute({
    links: createStageLinks(network),
    directory,
    hops,
    manifest: hash,
    width: architecture.width,
    positionsMax: promptTokens + tokensPerRound,
    precision: 'f32',
  });
}

async function routeInOneProcess(
  engine: Engine,
  read: Parameters<Engine['loadSpan']>[1],
  quantization: 'int4' | 'none',
): Promise<Route> {
  const span = { first: 0, last: architecture.layers };
  const spec = { architecture, quantization, span, positionsMax: 1024, cacheBytesMax: 256 << 20 };
  const runner: SpanRunner = await engine.loadSpan(spec, read);
  const session = randomSessionId();
  const positionsMax = promptTokens + tokensPerRound;
  await runner.open(session, positionsMax);
  return {
    hops: [],
    positionsMax,
    alive: true,
    step: async (step) => new Float32Array(await runner.step({ session, ...step })),
    close: () => undefined,
  };
}

/** Decode alone: the prompt is read before the clock starts. */
async function tokensPerSecond(route: Route, ends: Ends): Promise<number> {
  const sampler = createSampler({});
  const prompt = Array.from({ length: promptTokens }, (_, i) => 1000 + 37 * i);
  const tokens = generate({
    route,
    ends,
    prompt,
    held: [],
    width: architecture.width,
    endTokens: new Set(),
    tokensMax: tokensPerRound - 1,
    sample: (logits, history) => sampler.next(logits, history),
  });
  await tokens.next();
  const startMs = performance.now();
  let count = 0;
  while ((await tokens.next()).done !== true) count++;
  return (count * 1000) / (performance.now() - startMs);
}
