import { seededRandom } from '@unfed/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { coverBytesPerSecond, startCover } from './circuit-cover.ts';
import { openCircuitRoute, type CircuitRoute } from './circuit-route.ts';
import { createMemoryPool, pathOf, poolManifest, SummingRunner, type MemoryPool } from './memory-pool.suite.ts';

const width = 4;
let pool: MemoryPool | undefined;
afterEach(() => {
  vi.useRealTimers();
  pool?.stop();
});

async function covered(): Promise<{ route: CircuitRoute; runners: SummingRunner[] }> {
  const runners = [0, 2].map((first) => new SummingRunner({ first, last: first + 2 }, width));
  pool = createMemoryPool(runners, { width, forwarders: 2, seed: 1 });
  const of = pool;
  const directory = of.network.directory(of.client.identity.peer);
  const all = [of.client, ...of.stages, ...of.forwarders].map(({ identity }) => of.network.directory(identity.peer));
  await vi.waitUntil(() => all.every((each) => each.announcements().length === 4), { timeout: 30_000 });
  const options = { directory, manifest: poolManifest, width, positionsMax: 8, precision: 'f32' as const };
  const route = await openCircuitRoute({ links: of.client.circuits, path: pathOf(of), ...options });
  return { route, runners };
}

describe('cover (C21)', () => {
  it('dummy steps go around, are computed nowhere, and do not disturb steps', async () => {
    const { route, runners } = await covered();
    const step = { position: 0, tokens: 1, hidden: new Float32Array(width).fill(1), wants: 'last' } as const;
    route.dummyStep();
    const result = route.step(step);
    route.dummyStep();
    expect((await result)[0]).toBe((1 * 2 + 2) * 2 + 2);
    expect(runners.map(({ stepsServed }) => stepsServed)).toEqual([1, 1]);
    const again = await route.step({ ...step, hidden: new Float32Array(width).fill(1) });
    expect(again).toEqual(await result);
    expect(route.alive).toBe(true);
  });

  it('comes at Poisson times, of both kinds, until it is stopped', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const loops: number[] = [];
    let dummies = 0;
    const path = { guard: 'g', forwarders: ['f'], stages: [{}, {}] } as unknown as CircuitRoute['path'];
    const route = { alive: true, path, loop: (hop: number) => void loops.push(hop), dummyStep: () => void dummies++ };
    const stop = startCover(route, { meanMs: 100, random: seededRandom(3) });
    vi.advanceTimersByTime(100_000);
    // A thousand are expected; four standard deviations are 126.
    expect(Math.abs(loops.length + dummies - 1000)).toBeLessThan(126);
    expect(Math.abs(dummies - loops.length)).toBeLessThan(126);
    expect(new Set(loops)).toEqual(new Set([0, 1, 2, 3]));
    stop();
    const before = dummies + loops.length;
    vi.advanceTimersByTime(10_000);
    expect(dummies + loops.length).toBe(before);
  });

  it('says what it costs', () => {
    const path = { guard: 'g', forwarders: ['f'], stages: [{}, {}, {}] } as unknown as CircuitRoute['path'];
    // Once a second: half of them dummy steps over 8 links, half loops over 2 × 3 links in the mean.
    const costs = coverBytesPerSecond({ path }, { meanMs: 1000, cells: 1 });
    expect(costs).toEqual({ client: 2 * 4080, allLinks: (4080 / 2) * (8 + 6) });
  });
});
