import {
  encodeControl,
  encodeStep,
  randomSessionId,
  stageProtocol,
  type Announcement,
  type PeerId,
} from '@unfed/protocol';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { openDirectRoute } from './direct-route.ts';
import { StageLostError, StageRefusedError } from './errors.ts';
import { createMemoryPool, poolManifest, SummingRunner, testIdentity, type MemoryPool } from './memory-pool.suite.ts';
import { planRoute } from './planner.ts';
import type { Route } from './route.ts';
import * as limits from './limits.ts';

const width = 4;
let pool: MemoryPool | undefined;
afterEach(() => pool?.stop());

function poolOf(
  spans: readonly (readonly [number, number])[],
  options: { sessionsMax?: number; delayMs?: number } = {},
): MemoryPool {
  const runners = spans.map(([first, last]) => new SummingRunner({ first, last }, width, options.sessionsMax));
  pool = createMemoryPool(runners, { width, seed: 1, delayMs: options.delayMs ?? 0, jitterMs: 0, lossRate: 0 });
  return pool;
}

async function announced(of: MemoryPool): Promise<readonly Announcement[]> {
  const directory = of.network.directory(of.client.identity.peer);
  while (directory.announcements().length < of.stages.length) await new Promise((resolve) => setTimeout(resolve));
  return directory.announcements();
}

async function openRoute(of: MemoryPool, layers: number, positionsMax = 64): Promise<Route> {
  const announcements = await announced(of);
  const hops = planRoute({ announcements, manifest: poolManifest, model: 'test', span: { first: 0, last: layers } });
  const directory = of.network.directory(of.client.identity.peer);
  return openDirectRoute({
    links: of.client.links,
    directory,
    hops,
    manifest: poolManifest,
    width,
    positionsMax,
    precision: 'f32',
  });
}

const rows = (...values: number[]) => Float32Array.from(values.flatMap((value) => [value, value, value, value]));

/** What the stages must give, computed without them. */
function expected(spans: readonly (readonly [number, number])[], inputs: readonly number[]): number[] {
  let values = [...inputs];
  for (const [first, last] of spans) {
    let sum = 0;
    values = values.map((value) => value + (last - first) + (sum += value));
  }
  return values;
}

describe('direct route', () => {
  it('S1, S8: a step goes through every stage and comes back from the last', async () => {
    const spans = [
      [0, 2],
      [2, 3],
      [3, 6],
    ] as const;
    const route = await openRoute(poolOf(spans), 6);
    const result = await route.step({ position: 0, tokens: 3, hidden: rows(1, 2, 3), wants: 'all' });
    expect([...result].filter((_, i) => i % width === 0)).toEqual(expected(spans, [1, 2, 3]));
  });

  it('S8: wants last: one row comes back, and later stages still saw every position', async () => {
    const spans = [
      [0, 2],
      [2, 4],
    ] as const;
    const route = await openRoute(poolOf(spans), 4);
    expect(await route.step({ position: 0, tokens: 3, hidden: rows(1, 2, 3), wants: 'last' })).toHaveLength(width);
    const next = await route.step({ position: 3, tokens: 1, hidden: rows(5), wants: 'last' });
    expect(next[0]).toBe(expected(spans, [1, 2, 3, 5])[3]);
  });

  it('S5, S6: any cutting of the prompt into steps, several in flight, and any going back give what one step gives', async () => {
    const spans = [
      [0, 1],
      [1, 3],
    ] as const;
    const route = await openRoute(poolOf(spans, { delayMs: 1 }), 3);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: -5, max: 5 }), { minLength: 1, maxLength: 12 }),
        fc.array(fc.nat(11), { maxLength: 5 }),
        async (inputs, cuts) => {
          const starts = [0, ...cuts.map((cut) => Math.min(cut, inputs.length - 1))];
          // Each start may lie behind what was sent before: the caches are cut back there.
          const steps = starts.map((start, i) => {
            const end = Math.max(start + 1, starts[i + 1] ?? inputs.length);
            const part = inputs.slice(
              start,
              i === starts.length - 1 ? inputs.length : Math.max(end, ...starts.slice(i + 1)),
            );
            return route.step({ position: start, tokens: part.length, hidden: rows(...part), wants: 'last' });
          });
          const results = await Promise.all(steps);
          expect(results[results.length - 1][0]).toBeCloseTo(expected(spans, inputs)[inputs.length - 1], 3);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('S11: closing it ends the session at every stage', async () => {
    const of = poolOf([
      [0, 2],
      [2, 4],
    ]);
    const route = await openRoute(of, 4);
    expect(of.stages.map((stage) => stage.service.sessions)).toEqual([1, 1]);
    const gone = Promise.all(of.stages.map((stage) => new Promise<void>((resolve) => stage.service.onChange(resolve))));
    route.close();
    await gone;
    expect(of.stages.map((stage) => stage.service.sessions)).toEqual([0, 0]);
  });

  it('S11: a client that leaves frees its sessions everywhere', async () => {
    const of = poolOf([
      [0, 2],
      [2, 4],
    ]);
    await openRoute(of, 4);
    const gone = Promise.all(of.stages.map((stage) => new Promise<void>((resolve) => stage.service.onChange(resolve))));
    of.network.leave(of.client.identity.peer);
    await gone;
    expect(of.stages.map((stage) => (stage.runner as SummingRunner).sessions.size)).toEqual([0, 0]);
  });

  it('S12: a stage that leaves mid-step: the step fails by name, and the route is dead', async () => {
    const of = poolOf(
      [
        [0, 2],
        [2, 4],
      ],
      { delayMs: 20 },
    );
    const route = await openRoute(of, 4);
    const step = route.step({ position: 0, tokens: 1, hidden: rows(1), wants: 'last' });
    of.network.leave(of.stages[1].identity.peer);
    await expect(step).rejects.toThrow(StageLostError);
    await expect(step).rejects.toThrow(/layers 2–3/);
    expect(route.alive).toBe(false);
    await expect(route.step({ position: 1, tokens: 1, hidden: rows(1), wants: 'last' })).rejects.toThrow(
      StageLostError,
    );
  });

  it('S2: a stage without room refuses by name: busy', async () => {
    const of = poolOf([[0, 4]], { sessionsMax: 1 });
    await openRoute(of, 4);
    const second = openRoute(of, 4);
    await expect(second).rejects.toThrow(StageRefusedError);
    await expect(second).rejects.toMatchObject({ reason: 'busy' });
  });

  it('S2: one peer holds at most the limit of sessions at a stage', async () => {
    const of = poolOf([[0, 4]]);
    for (let i = 0; i < limits.sessionsPerLinkMax; i++) await openRoute(of, 4);
    await expect(openRoute(of, 4)).rejects.toMatchObject({ reason: 'busy' });
  });

  it('S15: a page that serves layers answers its own chat through the loopback', async () => {
    const runner = new SummingRunner({ first: 0, last: 2 }, width);
    pool = createMemoryPool([runner], { width, seed: 2, delayMs: 0, jitterMs: 0, lossRate: 0 });
    const [stage] = pool.stages;
    const hops = [{ peer: stage.identity.peer, span: runner.span, backend: 'node-cpu' as const }];
    const directory = pool.network.directory(stage.identity.peer);
    const options = { directory, hops, manifest: poolManifest, width, positionsMax: 8, precision: 'f16' as const };
    const route = await openDirectRoute({ links: stage.links, ...options });
    const result = await route.step({ position: 0, tokens: 2, hidden: rows(1, 2), wants: 'last' });
    expect(result[0]).toBe(expected([[0, 2]], [1, 2])[1]);
  });
});

describe('stage service against hostile peers', () => {
  it('S7: steps of a session from anyone but its previous hop change nothing', async () => {
    const of = poolOf([
      [0, 2],
      [2, 4],
    ]);
    const route = await openRoute(of, 4);
    const second = of.stages[1];
    const [session] = [...(second.runner as SummingRunner).sessions.keys()];
    const link = await of.client.links.open(second.identity.peer);
    const payload = new Uint8Array(width * 4);
    const forged = {
      session,
      number: 9,
      position: 0,
      tokens: 1,
      wants: 'last',
      precision: 'f32',
      deadlineMs: 0,
      payload,
    } as const;
    await link.send(encodeStep(forged));
    const result = await route.step({ position: 0, tokens: 1, hidden: rows(1), wants: 'last' });
    expect(result[0]).toBe(
      expected(
        [
          [0, 2],
          [2, 4],
        ],
        [1],
      )[0],
    );
    expect((second.runner as SummingRunner).stepsServed).toBe(1);
  });

  it('S2, S3, S14: another model, another span, a next that nobody announced: refused with a typed reason', async () => {
    const of = poolOf([[0, 4]]);
    await announced(of);
    const peer = of.stages[0].identity.peer;
    const link = await of.client.links.open(peer);
    const open = {
      kind: 'open',
      manifest: poolManifest,
      first: 0,
      last: 4,
      positionsMax: 8,
      previous: null,
      next: null,
    } as const;
    const codeOf = async (frames: (session: ReturnType<typeof randomSessionId>) => Uint8Array[]): Promise<string> => {
      const session = randomSessionId();
      const code = new Promise<string>((resolve) => {
        of.client.links.addClient(session, {
          resultsFrom: peer,
          onControl: (frame) => frame.kind === 'failed' && resolve(frame.code),
          onResult: () => resolve('a result'),
          onLinkClosed: () => resolve('link closed'),
        });
      });
      for (const frame of frames(session)) await link.send(frame);
      return code;
    };
    const stranger = 'b'.repeat(64) as typeof poolManifest;
    expect(await codeOf((session) => [encodeControl({ ...open, session, manifest: stranger })])).toBe('wrong-model');
    expect(await codeOf((session) => [encodeControl({ ...open, session, last: 3 })])).toBe('wrong-model');
    const nobody = of.client.identity.peer.slice(0, -1) + 'z';
    expect(await codeOf((session) => [encodeControl({ ...open, session, next: nobody as PeerId })])).toBe(
      'next-unknown',
    );
    const fresh = await of.client.links.open(peer);
    const step = { number: 0, position: 0, tokens: 1, wants: 'last', precision: 'f32', deadlineMs: 0 } as const;
    const session = randomSessionId();
    const failed = new Promise<string>((resolve) => {
      of.client.links.addClient(session, {
        resultsFrom: peer,
        onControl: (frame) => (frame.kind === 'failed' ? resolve(frame.code) : undefined),
        onResult: () => resolve('a result'),
        onLinkClosed: () => resolve('link closed'),
      });
    });
    await fresh.send(encodeStep({ ...step, session, payload: new Uint8Array(16) }));
    expect(await failed).toBe('unknown-session');
  });

  it('S13: any bytes on a link end the link at worst, never the stage', async () => {
    const of = poolOf([[0, 4]]);
    const route = await openRoute(of, 4);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (bytes) => {
        const stranger = of.network.peer(testIdentity(99));
        const link = await stranger.open(of.stages[0].identity.peer, stageProtocol);
        await link.send(bytes).catch(() => undefined);
      }),
      { numRuns: 50 },
    );
    route.close();
    const again = await openRoute(of, 4);
    expect(await again.step({ position: 0, tokens: 1, hidden: rows(1), wants: 'last' })).toHaveLength(width);
  });
});
