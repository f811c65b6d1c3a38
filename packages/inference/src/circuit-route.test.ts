import { circuitProtocol, decodeCell, limits as circuitLimits } from '@unfed/circuit';
import type { SpanRunner } from '@unfed/engine';
import type { PeerId, Span } from '@unfed/protocol';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { HopLostError } from './circuit-errors.ts';
import { openCircuitRoute, type CircuitRoute, type CircuitRouteOptions } from './circuit-route.ts';
import { openDirectRoute } from './direct-route.ts';
import { StageLostError, StageRefusedError } from './errors.ts';
import {
  createMemoryPool,
  pathOf,
  poolManifest,
  SummingRunner,
  testIdentity,
  type MemoryPool,
  type MemoryPoolOptions,
} from './memory-pool.suite.ts';
import type { Route } from './route.ts';

const width = 4;
let pool: MemoryPool | undefined;
afterEach(() => pool?.stop());

const spansOf = (stages: number): Span[] =>
  Array.from({ length: stages }, (_, i) => ({ first: 2 * i, last: 2 * i + 2 }));

async function poolOf(
  runners: readonly SpanRunner[],
  forwarders: number,
  options: Partial<MemoryPoolOptions> = {},
): Promise<MemoryPool> {
  pool = createMemoryPool(runners, { width, forwarders, seed: 1, ...options });
  const of = pool;
  const readers = [of.client, ...of.stages, ...of.forwarders].map(({ identity }) =>
    of.network.directory(identity.peer),
  );
  await until(() => readers.every((reader) => reader.announcements().length === runners.length + forwarders));
  return of;
}

/** However busy the machine is. */
const until = (check: () => boolean) => vi.waitUntil(check, { timeout: 30_000 });

const summing = (stages: number, sessionsMax?: number) =>
  spansOf(stages).map((span) => new SummingRunner(span, width, sessionsMax));

function common(of: MemoryPool) {
  const directory = of.network.directory(of.client.identity.peer);
  return { directory, manifest: poolManifest, width, positionsMax: 64, precision: 'f32' as const };
}

function circuit(of: MemoryPool, change: Partial<CircuitRouteOptions> = {}): Promise<CircuitRoute> {
  return openCircuitRoute({ links: of.client.circuits, path: pathOf(of), ...common(of), ...change });
}

const rows = (...values: number[]) => Float32Array.from(values.flatMap((value) => [value, value, value, value]));

/** A prompt in two steps that are under way at once, tokens after it, and a step back. */
async function conversation(route: Route): Promise<number[][]> {
  const prompt = [
    route.step({ position: 0, tokens: 3, hidden: rows(1, 2, 3), wants: 'last' }),
    route.step({ position: 3, tokens: 2, hidden: rows(4, 5), wants: 'all' }),
  ];
  const results = await Promise.all(prompt);
  for (const [position, value] of [
    [5, 6],
    [6, 7],
    [5, 9],
  ]) {
    results.push(await route.step({ position, tokens: 1, hidden: rows(value), wants: 'last' }));
  }
  return results.map((result) => [...result]);
}

const step = { position: 0, tokens: 1, hidden: rows(1), wants: 'last' } as const;

describe('the circuit route (S20 to S22)', () => {
  it.each([1, 2, 3].flatMap((forwarders) => [1, 2, 4].map((stages) => [forwarders, stages] as const)))(
    '%i forwarding hops and %i stages: the same numbers as the direct route',
    async (forwarders, stages) => {
      const of = await poolOf(summing(stages), forwarders);
      const route = await circuit(of);
      const direct = await openDirectRoute({ links: of.client.links, hops: route.hops, ...common(of) });
      expect(await conversation(route)).toEqual(await conversation(direct));
      direct.close();
      route.close();
      await until(() => of.stages.every(({ service }) => service.sessions === 0));
      await until(() => [...of.stages, ...of.forwarders].every(({ circuits }) => circuits.circuits === 0));
    },
  );

  it('over a distance, with jitter and loss', async () => {
    const of = await poolOf(summing(3), 2, { delayMs: 4, jitterMs: 4, lossRate: 0.05 });
    const route = await circuit(of);
    const direct = await openDirectRoute({ links: of.client.links, hops: route.hops, ...common(of) });
    expect(await conversation(route)).toEqual(await conversation(direct));
  });

  it('steps beyond the window wait for results, and none is lost', async () => {
    const wide = 4096;
    const of = await poolOf([new SummingRunner({ first: 0, last: 2 }, wide)], 2, { width: wide });
    const route = await circuit(of, { width: wide });
    const tokens = 32;
    const hidden = new Float32Array(tokens * wide).fill(1);
    const steps = Array.from({ length: 6 }, (_, i) =>
      route.step({ position: i * 8, tokens, hidden, wants: 'last' }).then((result) => result.length),
    );
    expect(await Promise.all(steps)).toEqual(steps.map(() => wide));
    const much = new Float32Array(70 * wide);
    const tooLong = route.step({ position: 0, tokens: 70, hidden: much, wants: 'last' });
    await expect(tooLong).rejects.toMatchObject({ code: 'invalid-value' });
    expect(route.alive).toBe(true);
  });

  it('the guard is the only peer that the client links to', async () => {
    const of = await poolOf(summing(3), 2);
    const opened: PeerId[] = [];
    const asking = of.network.peer(of.client.identity);
    const open = asking.open.bind(asking);
    asking.open = (peer, protocol, options) => {
      opened.push(peer);
      return open(peer, protocol, options);
    };
    const route = await circuit(of);
    await conversation(route);
    expect(new Set(opened)).toEqual(new Set([route.path.guard]));
  });

  it('every frame on every link is one cell, and nothing of a step is in it', async () => {
    const of = await poolOf(summing(2), 2);
    const frames: Uint8Array[] = [];
    for (const { identity } of [of.client, ...of.stages, ...of.forwarders]) {
      const links = of.network.peer(identity);
      const open = links.open.bind(links);
      links.open = async (peer, protocol, options) => {
        const link = await open(peer, protocol, options);
        expect(protocol).toBe(circuitProtocol);
        const send = link.send.bind(link);
        link.send = (frame) => {
          frames.push(frame);
          return send(frame);
        };
        return link;
      };
    }
    const route = await circuit(of);
    const marked = new Float32Array(width).fill(123.25);
    await route.step({ ...step, hidden: marked });
    const marker = Buffer.from(marked.buffer);
    expect(frames.length).toBeGreaterThan(10);
    for (const frame of frames) {
      expect(decodeCell(frame).body).toHaveLength(circuitLimits.bodyBytes);
      expect(Buffer.from(frame).includes(marker)).toBe(false);
    }
  });
});

describe('S24: a circuit that fails names who to avoid', () => {
  it('a stage that leaves in the middle of a step', async () => {
    const of = await poolOf(summing(3), 2, { delayMs: 10 });
    const route = await circuit(of);
    const result = route.step(step);
    of.network.leave(of.stages[1].identity.peer);
    await expect(result).rejects.toThrow(StageLostError);
    await expect(result).rejects.toMatchObject({ peer: of.stages[1].identity.peer });
    expect(route.alive).toBe(false);
    await expect(route.step(step)).rejects.toThrow(StageLostError);
  });

  it.each([0, 1])('forwarding hop %i that leaves', async (hop) => {
    const of = await poolOf(summing(1), 2, { delayMs: 5 });
    const route = await circuit(of);
    const { peer } = of.forwarders[hop].identity;
    const result = route.step(step);
    of.network.leave(peer);
    await expect(result).rejects.toThrow(HopLostError);
    await expect(result).rejects.toMatchObject({ suspects: [peer], reason: 'link-lost' });
  });

  it('a guard that cannot be reached', async () => {
    const of = await poolOf(summing(1), 2);
    const guard = testIdentity(99).peer;
    await expect(circuit(of, { path: { ...pathOf(of), guard } })).rejects.toMatchObject({ suspects: [guard] });
  });

  it('a stage without room, of another model, or that serves no more', async () => {
    const of = await poolOf(summing(2, 1), 1);
    const first = await circuit(of);
    const second = circuit(of);
    await expect(second).rejects.toThrow(StageRefusedError);
    await expect(second).rejects.toMatchObject({ reason: 'busy', peer: of.stages[0].identity.peer });
    expect(await conversation(first)).toHaveLength(5);
    const other = circuit(of, { manifest: 'b'.repeat(64) as typeof poolManifest });
    await expect(other).rejects.toMatchObject({ reason: 'wrong-model' });
    of.stages[1].service.stop();
    await expect(first.step(step)).rejects.toMatchObject({ reason: 'busy', peer: of.stages[1].identity.peer });
  });

  it('a hop that nobody announced', async () => {
    const of = await poolOf(summing(1), 2);
    const path = pathOf(of);
    const stranger = testIdentity(98).peer;
    const asked = circuit(of, { path: { ...path, forwarders: [stranger] } });
    await expect(asked).rejects.toMatchObject({ suspects: [stranger], reason: 'unknown-peer' });
    of.network.cut(path.forwarders[0], path.stages[0].peer);
    const unreachable = circuit(of);
    await expect(unreachable).rejects.toMatchObject({ peer: path.stages[0].peer, cause: { reason: 'unreachable' } });
  });

  it('a stage whose runner fails, or that answers other rows than were asked', async () => {
    class FailingRunner extends SummingRunner {
      override step(): Promise<never> {
        return Promise.reject(new Error('no such thing'));
      }
    }
    const failing = await poolOf([new FailingRunner({ first: 0, last: 2 }, width)], 1);
    const error = (await circuit(failing)).step(step);
    await expect(error).rejects.toMatchObject({ code: 'stage-refused', reason: 'internal' });
    failing.stop();
    class LyingRunner extends SummingRunner {
      override async step(of: Parameters<SummingRunner['step']>[0]) {
        return super.step({ ...of, wants: 'all' });
      }
    }
    const lying = await poolOf([new LyingRunner({ first: 0, last: 2 }, width)], 1);
    const result = (await circuit(lying)).step({ position: 0, tokens: 2, hidden: rows(1, 2), wants: 'last' });
    await expect(result).rejects.toMatchObject({ reason: 'wrong-result' });
  });

  it('ends with the caller’s own reason when the caller gives up', async () => {
    const of = await poolOf(summing(1), 1, { delayMs: 20 });
    const controller = new AbortController();
    const opening = circuit(of, { signal: controller.signal });
    const reason = new Error('changed my mind');
    controller.abort(reason);
    await expect(opening).rejects.toBe(reason);
  });
});

describe('resuming (C15, S23)', () => {
  /** A route over forwarders 0 and 1 that broke between them, and the sessions that it had. */
  async function broken(stages = 2) {
    const of = await poolOf(summing(stages), 3);
    const path = pathOf(of, 2);
    const route = await circuit(of, { path });
    await route.step({ position: 0, tokens: 3, hidden: rows(1, 2, 3), wants: 'last' });
    of.network.cut(path.guard, path.forwarders[0]);
    await until(() => !route.alive);
    const again = { ...path, forwarders: [of.forwarders[2].identity.peer] };
    return { of, route, again };
  }

  it('another circuit takes the sessions up, and the prompt is not sent again', async () => {
    const { of, route, again } = await broken();
    const second = await circuit(of, { path: again, resume: route.sessions });
    expect(second.held).toBe(3);
    const result = await second.step({ position: 3, tokens: 1, hidden: rows(4), wants: 'last' });
    const direct = await openDirectRoute({ links: of.client.links, hops: route.hops, ...common(of) });
    const whole = await direct.step({ position: 0, tokens: 4, hidden: rows(1, 2, 3, 4), wants: 'last' });
    expect([...result]).toEqual([...whole]);
    direct.close();
    await until(() => of.stages.every(({ service }) => service.sessions === 1));
  });

  it('a proof serves once, and nobody else has one: the route begins anew', async () => {
    const { of, route, again } = await broken();
    const second = await circuit(of, { path: again, resume: route.sessions });
    second.close();
    const third = await circuit(of, { path: again, resume: route.sessions });
    expect(third.held).toBe(0);
    const forged = route.sessions.map((each) => ({ ...each, secret: new Uint8Array(32) }));
    const fourth = await circuit(of, { path: again, resume: forged });
    expect(fourth.held).toBe(0);
    expect(await conversation(fourth)).toHaveLength(5);
  });

  it('a session that is kept gives way to others who need its memory', async () => {
    const of = await poolOf(summing(1, 1), 3);
    const route = await circuit(of, { path: pathOf(of, 2) });
    of.network.cut(route.path.guard, route.path.forwarders[0]);
    await until(() => !route.alive);
    const other = await circuit(of, { path: { ...pathOf(of, 1), forwarders: [of.forwarders[2].identity.peer] } });
    expect(await conversation(other)).toHaveLength(5);
    const back = circuit(of, { path: { ...other.path }, resume: route.sessions });
    await expect(back).rejects.toMatchObject({ reason: 'busy' });
  });

  it('a session whose client closed it is not kept', async () => {
    const of = await poolOf(summing(2), 1);
    const route = await circuit(of);
    route.close();
    await until(() => of.stages.every(({ service }) => service.sessions === 0));
    const second = await circuit(of, { resume: route.sessions });
    expect(second.held).toBe(0);
  });
});
