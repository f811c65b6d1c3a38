/** A pool in memory for this package's tests: stages on the seeded network, each with whatever runner is handed in. */
import type { SpanRunner } from '@unfed/engine';
import {
  identityFromSeed,
  signAnnouncement,
  type Identity,
  type ManifestHash,
  type SessionId,
  type Span,
} from '@unfed/protocol';
import { createMemoryNetwork, type MemoryNetwork, type MemoryNetworkOptions } from '@unfed/testing';
import { createStageLinks, type StageLinks } from './stage-links.ts';
import { createStageService, type StageService } from './stage-service.ts';

export const poolManifest = 'a'.repeat(64) as ManifestHash;

export interface MemoryStage {
  readonly identity: Identity;
  readonly links: StageLinks;
  readonly service: StageService;
  readonly runner: SpanRunner;
}

export interface MemoryPool {
  readonly network: MemoryNetwork;
  readonly client: { readonly identity: Identity; readonly links: StageLinks };
  readonly stages: readonly MemoryStage[];
  stop(): void;
}

export function testIdentity(number: number): Identity {
  return identityFromSeed(new Uint8Array(32).fill(number + 1));
}

/** One stage for each runner, announced; the client is a peer of its own. */
export function createMemoryPool(
  runners: readonly SpanRunner[],
  { width, manifest = poolManifest, ...path }: { width: number; manifest?: ManifestHash } & MemoryNetworkOptions,
): MemoryPool {
  const network = createMemoryNetwork(path);
  const stages = runners.map((runner, i) => {
    const identity = testIdentity(i + 1);
    const links = createStageLinks(network.peer(identity));
    const directory = network.directory(identity.peer);
    const service = createStageService({ links, runner, manifest, width, directory });
    directory.announce(signAnnouncement(stageAnnouncement(identity, runner.span, { network, manifest }), identity));
    return { identity, links, service, runner };
  });
  const identity = testIdentity(0);
  return {
    network,
    client: { identity, links: createStageLinks(network.peer(identity)) },
    stages,
    stop: () => network.stop(),
  };
}

export function stageAnnouncement(
  identity: Identity,
  span: Span,
  {
    network,
    manifest,
    stepsPerSecond = 100,
  }: { network: MemoryNetwork; manifest: ManifestHash; stepsPerSecond?: number },
) {
  const nowMs = network.clock.now();
  return {
    peer: identity.peer,
    issuedAtMs: Math.floor(nowMs),
    expiresAtMs: Math.floor(nowMs) + 60_000,
    stage: { manifest, span, stepsPerSecond, queueLength: 0, backend: 'node-cpu' as const },
    hopKeys: [],
    operator: null,
    addresses: [],
    seeds: [],
  };
}

/**
 * Stands for a span where only the protocol is tested: every position's output is its input plus the number of layers
 * plus the sum of all inputs its cache holds, so that a wrong, missing or stale position shows.
 */
export class SummingRunner implements SpanRunner {
  readonly backend = 'node-cpu';
  readonly span: Span;
  readonly sessions = new Map<SessionId, number[]>();
  readonly #width: number;
  readonly #sessionsMax: number;
  stepsServed = 0;

  constructor(span: Span, width: number, sessionsMax = Infinity) {
    this.span = span;
    this.#width = width;
    this.#sessionsMax = sessionsMax;
  }

  async open(session: SessionId): Promise<'opened' | 'busy'> {
    if (this.sessions.size >= this.#sessionsMax) return 'busy';
    this.sessions.set(session, []);
    return 'opened';
  }

  async step(step: Parameters<SpanRunner['step']>[0]): Promise<Float32Array<ArrayBuffer>> {
    const held = this.sessions.get(step.session);
    if (held === undefined || step.position > held.length) throw new Error('no such session or position');
    held.length = step.position;
    this.stepsServed++;
    const out = new Float32Array(step.hidden.length);
    for (let t = 0; t < step.tokens; t++) {
      held.push(step.hidden[t * this.#width]);
      const sum = held.reduce((a, b) => a + b, 0);
      for (let i = 0; i < this.#width; i++) {
        out[t * this.#width + i] = step.hidden[t * this.#width + i] + (this.span.last - this.span.first) + sum;
      }
    }
    return step.wants === 'all' ? out : out.slice(-this.#width);
  }

  async close(session: SessionId): Promise<void> {
    this.sessions.delete(session);
  }

  async report(): Promise<Awaited<ReturnType<SpanRunner['report']>>> {
    throw new Error('the protocol asks for no report');
  }

  async dispose(): Promise<void> {
    this.sessions.clear();
  }
}
