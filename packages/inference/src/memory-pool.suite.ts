/** A pool in memory for this package's tests: stages on the seeded network, each with whatever runner is handed in. */
import { HopKeys } from '@unfed/circuit';
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
import { createCircuitLinks, type CircuitLinks } from './circuit-links.ts';
import type { CircuitHops } from './circuit-route.ts';
import { createCircuitService, type CircuitService } from './circuit-service.ts';
import { createStageLinks, type StageLinks } from './stage-links.ts';
import { createStageService, type StageService } from './stage-service.ts';

export const poolManifest = 'a'.repeat(64) as ManifestHash;

export interface MemoryStage {
  readonly identity: Identity;
  readonly links: StageLinks;
  readonly service: StageService;
  readonly runner: SpanRunner;
  readonly circuits: CircuitService;
}

/** A peer that computes nothing. */
export interface MemoryForwarder {
  readonly identity: Identity;
  readonly circuits: CircuitService;
}

export interface MemoryPool {
  readonly network: MemoryNetwork;
  readonly client: { readonly identity: Identity; readonly links: StageLinks; readonly circuits: CircuitLinks };
  readonly stages: readonly MemoryStage[];
  readonly forwarders: readonly MemoryForwarder[];
  stop(): void;
}

export function testIdentity(number: number): Identity {
  return identityFromSeed(new Uint8Array(32).fill(number + 1));
}

export interface MemoryPoolOptions extends MemoryNetworkOptions {
  readonly width: number;
  readonly manifest?: ManifestHash;
  /** Peers that only forward. */
  readonly forwarders?: number;
}

/** One stage for each runner, announced, and forwarders; the client is a peer of its own. */
export function createMemoryPool(
  runners: readonly SpanRunner[],
  { width, manifest = poolManifest, forwarders: forwarderCount = 0, ...path }: MemoryPoolOptions,
): MemoryPool {
  const network = createMemoryNetwork(path);
  const stages = runners.map((runner, i) => {
    const identity = testIdentity(i + 1);
    const links = createStageLinks(network.peer(identity));
    const directory = network.directory(identity.peer);
    const service = createStageService({ links, runner, manifest, width, directory });
    const { circuits, hopKeys } = serveCircuits(network, identity);
    circuits.serve(service.core);
    const announcement = { ...stageAnnouncement(identity, runner.span, { network, manifest }), hopKeys };
    directory.announce(signAnnouncement(announcement, identity));
    return { identity, links, service, runner, circuits };
  });
  const forwarders = Array.from({ length: forwarderCount }, (_, i) => {
    const identity = testIdentity(200 + i);
    const { circuits, hopKeys } = serveCircuits(network, identity);
    const offer = stageAnnouncement(identity, { first: 0, last: 1 }, { network, manifest });
    const announcement = signAnnouncement({ ...offer, stage: null, hopKeys }, identity);
    network.directory(identity.peer).announce(announcement);
    return { identity, circuits };
  });
  const identity = testIdentity(0);
  const asking = network.peer(identity);
  return {
    network,
    client: { identity, links: createStageLinks(asking), circuits: createCircuitLinks(asking) },
    stages,
    forwarders,
    stop() {
      for (const { circuits } of [...stages, ...forwarders]) circuits.stop();
      network.stop();
    },
  };
}

function serveCircuits(network: MemoryNetwork, identity: Identity) {
  const keys = new HopKeys({ nowMs: () => network.clock.now() });
  const links = createCircuitLinks(network.peer(identity));
  const directory = network.directory(identity.peer);
  const circuits = createCircuitService({ links, keys, directory, nowMs: () => network.clock.now() });
  return { circuits, hopKeys: keys.announced };
}

/** A path through the pool's first forwarders and all its stages, in order. */
export function pathOf(
  { stages, forwarders }: Pick<MemoryPool, 'stages' | 'forwarders'>,
  forwardingHops = forwarders.length,
): CircuitHops {
  const [guard, ...behind] = forwarders.slice(0, forwardingHops).map(({ identity }) => identity.peer);
  return {
    guard,
    forwarders: behind,
    stages: stages.map(({ identity, runner }) => ({
      peer: identity.peer,
      span: runner.span,
      backend: 'node-cpu' as const,
    })),
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
