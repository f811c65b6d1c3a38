import { encodeControl, randomSessionId, stageProtocol, type SessionId } from '@unfed/protocol';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openDirectRoute } from './direct-route.ts';
import { StageLostError, StageRefusedError } from './errors.ts';
import { createMemoryPool, poolManifest, SummingRunner, testIdentity, type MemoryPool } from './memory-pool.suite.ts';
import type { Route } from './route.ts';
import { createStageLinks } from './stage-links.ts';
import * as limits from './limits.ts';

const width = 4;
let pool: MemoryPool | undefined;
afterEach(() => {
  vi.useRealTimers();
  pool?.stop();
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Opens no session before the test says so. */
class SlowRunner extends SummingRunner {
  readonly #gates: (() => void)[] = [];

  override async open(session: SessionId): Promise<'opened' | 'busy'> {
    await new Promise<void>((resolve) => this.#gates.push(resolve));
    return super.open(session);
  }

  get opening(): number {
    return this.#gates.length;
  }

  letGo(): void {
    for (const gate of this.#gates.splice(0)) gate();
  }
}

async function poolOf<R extends SummingRunner>(runners: readonly R[]): Promise<MemoryPool> {
  pool = createMemoryPool(runners, { width, seed: 1, delayMs: 0, jitterMs: 0, lossRate: 0 });
  const of = pool;
  const readers = [of.client, ...of.stages].map(({ identity }) => of.network.directory(identity.peer));
  await vi.waitUntil(() => readers.every((reader) => reader.announcements().length === runners.length));
  return of;
}

/** A route through all stages, asked by the peer whose links are given. */
function routeOver(of: MemoryPool, asker: Pick<MemoryPool['client'], 'identity' | 'links'>): Promise<Route> {
  const directory = of.network.directory(asker.identity.peer);
  const hops = of.stages.map(({ identity, runner }) => ({
    peer: identity.peer,
    span: runner.span,
    backend: 'node-cpu' as const,
  }));
  const options = { directory, hops, manifest: poolManifest, width, positionsMax: 8, precision: 'f32' as const };
  return openDirectRoute({ links: asker.links, ...options });
}

const open = { kind: 'open', manifest: poolManifest, first: 0, last: 2, positionsMax: 8 } as const;
const row = Float32Array.of(1, 1, 1, 1);

describe('opening sessions at a stage', () => {
  it('S11: a session that its client closes, or leaves, while it opens is not kept', async () => {
    const runner = new SlowRunner({ first: 0, last: 2 }, width);
    const of = await poolOf([runner]);
    const [{ identity, service }] = of.stages;
    const link = await of.client.links.open(identity.peer);
    const session = randomSessionId();
    await link.send(encodeControl({ ...open, session, previous: null, next: null }));
    await link.send(encodeControl({ kind: 'close', session }));
    const stranger = await of.network.peer(testIdentity(50)).open(identity.peer, stageProtocol);
    await stranger.send(encodeControl({ ...open, session: randomSessionId(), previous: null, next: null }));
    await vi.waitUntil(() => runner.opening === 2);
    of.network.leave(testIdentity(50).peer);
    await stranger.closed;
    await new Promise((resolve) => setTimeout(resolve));
    runner.letGo();
    await new Promise((resolve) => setTimeout(resolve));
    expect([service.sessions, runner.sessions.size]).toEqual([0, 0]);
  });

  it('S12: a stage that stops while a session opens keeps none', async () => {
    const runner = new SlowRunner({ first: 0, last: 2 }, width);
    const of = await poolOf([runner]);
    const [{ service }] = of.stages;
    const route = routeOver(of, of.client);
    await vi.waitUntil(() => runner.opening === 1);
    const refused = expect(route).rejects.toThrow(StageRefusedError);
    service.stop();
    runner.letGo();
    await refused;
    expect([service.sessions, runner.sessions.size]).toEqual([0, 0]);
  });

  it('S2: one peer opens a few at once, and others still get in', async () => {
    const runner = new SlowRunner({ first: 0, last: 2 }, width);
    const of = await poolOf([runner]);
    const [{ identity }] = of.stages;
    const greedy = await of.network.peer(testIdentity(51)).open(identity.peer, stageProtocol);
    let refused = 0;
    greedy.onFrame((bytes) => void (refused += bytes[0] === 4 ? 1 : 0));
    for (let i = 0; i <= limits.sessionsOpeningPerLinkMax; i++) {
      await greedy.send(encodeControl({ ...open, session: randomSessionId(), previous: null, next: null }));
    }
    await vi.waitUntil(() => refused === 1);
    const route = routeOver(of, of.client);
    await vi.waitUntil(() => runner.opening === limits.sessionsOpeningPerLinkMax + 1);
    runner.letGo();
    expect((await route).alive).toBe(true);
  });

  it('S19: who holds more than half of the memory gives way to others, what it used longest ago first', async () => {
    const runner = new SummingRunner({ first: 0, last: 2 }, width, 4);
    const of = await poolOf([runner]);
    const greedy: Route[] = [];
    for (let i = 0; i < 4; i++) greedy.push(await routeOver(of, of.client));
    const step = { position: 0, tokens: 1, hidden: row, wants: 'last' } as const;
    // All are in use: the engine would end none.
    for (const route of [greedy[2], greedy[0], greedy[1], greedy[3]])
      await route.step({ ...step, hidden: row.slice() });
    const others: Route[] = [];
    for (const number of [52, 53]) {
      const identity = testIdentity(number);
      const links = createStageLinks(of.network.peer(identity));
      others.push(await routeOver(of, { identity, links }));
    }
    expect(others.map(({ alive }) => alive)).toEqual([true, true]);
    await vi.waitUntil(() => greedy.filter(({ alive }) => !alive).length === 2);
    expect(greedy.map(({ alive }) => alive)).toEqual([false, true, false, true]);
    // Half is its share: a third finds the stage busy, as it would any.
    const identity = testIdentity(54);
    const third = routeOver(of, { identity, links: createStageLinks(of.network.peer(identity)) });
    await expect(third).rejects.toMatchObject({ reason: 'busy' });
  });

  it('S4: a stage that never answers an opening is named, so that another can be tried', async () => {
    const slow = new SlowRunner({ first: 2, last: 4 }, width);
    const of = await poolOf([new SummingRunner({ first: 0, last: 2 }, width), slow]);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const route = routeOver(of, of.client);
    const lost = expect(route).rejects.toThrow(StageLostError);
    while (slow.opening < 1 || of.stages[0].service.sessions < 1) await turn();
    // The first stage's answer is on its way.
    for (let i = 0; i < 20; i++) await turn();
    vi.advanceTimersByTime(limits.routeOpenMsMax);
    await lost;
    await expect(route).rejects.toMatchObject({ peer: of.stages[1].identity.peer, message: /did not answer/ });
  });
});

describe('a route', () => {
  it('S15: passes through the asker’s own stage, wherever it stands', async () => {
    for (const own of [0, 1, 2]) {
      const spans = [0, 2, 4].map((first) => ({ first, last: first + 2 }));
      const of = await poolOf(spans.map((span) => new SummingRunner(span, width)));
      const route = await routeOver(of, of.stages[own]);
      const result = await route.step({ position: 0, tokens: 1, hidden: row.slice(), wants: 'last' });
      // Each stage doubles one position's input, and adds its two layers.
      expect(result[0]).toBe(((1 * 2 + 2) * 2 + 2) * 2 + 2);
      of.stop();
    }
  });

  it('S15: a last stage that answers other rows than were asked is named', async () => {
    class LyingRunner extends SummingRunner {
      override async step(step: Parameters<SummingRunner['step']>[0]) {
        return super.step({ ...step, wants: 'all' });
      }
    }
    const of = await poolOf([new LyingRunner({ first: 0, last: 2 }, width)]);
    const route = await routeOver(of, of.client);
    const hidden = Float32Array.from({ length: 2 * width }, () => 1);
    const step = route.step({ position: 0, tokens: 2, hidden, wants: 'last' });
    await expect(step).rejects.toMatchObject({ code: 'stage-refused', reason: 'wrong-result' });
  });

  it('that was closed takes no step', async () => {
    const of = await poolOf([new SummingRunner({ first: 0, last: 2 }, width)]);
    const route = await routeOver(of, of.client);
    route.close();
    await expect(route.step({ position: 0, tokens: 1, hidden: row, wants: 'last' })).rejects.toThrow(StageLostError);
  });
});
