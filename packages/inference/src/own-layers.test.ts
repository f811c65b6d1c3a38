import type { SpanRunner } from '@unfed/engine';
import { describe, expect, it } from 'vitest';
import { NoRouteError, OwnLayersBusyError } from './errors.ts';
import { SummingRunner } from './memory-pool.suite.ts';
import { layersOfOthers, openOwnLayers } from './own-layers.ts';
import type { Route, RouteStep } from './route.ts';

const width = 2;
const session = '0'.repeat(32) as Parameters<SpanRunner['close']>[0];

/** Layers of others as a route of one runner, which records what it is asked. */
async function othersOf(runner: SummingRunner) {
  const asked: RouteStep[] = [];
  let open = true;
  await runner.open(session);
  const route: Route = {
    hops: [],
    positionsMax: 64,
    get alive() {
      return open;
    },
    step: (step) => {
      asked.push(step);
      return runner.step({ session, ...step });
    },
    close: () => (open = false),
  };
  return { route, asked };
}

/** 8 layers: the first own ones, those of others, the last own ones. */
async function cut(first: number, last: number) {
  const own = {
    first: first === 0 ? undefined : new SummingRunner({ first: 0, last: first }, width),
    last: last === 0 ? undefined : new SummingRunner({ first: 8 - last, last: 8 }, width),
  };
  const others = await othersOf(new SummingRunner(layersOfOthers(own, 8), width));
  const opened = { ...own, ...others };
  return { ...opened, whole: await openOwnLayers(own, 64, async () => others.route) };
}

const step = (position: number, values: readonly number[], wants: 'all' | 'last' = 'last'): RouteStep => ({
  position,
  tokens: values.length,
  hidden: Float32Array.from(values.flatMap((value) => [value, value])),
  wants,
});

describe('own layers', () => {
  it('others cover what the client does not run', () => {
    const first = new SummingRunner({ first: 0, last: 2 }, width);
    const last = new SummingRunner({ first: 7, last: 8 }, width);
    expect(layersOfOthers({}, 8)).toEqual({ first: 0, last: 8 });
    expect(layersOfOthers({ first }, 8)).toEqual({ first: 2, last: 8 });
    expect(layersOfOthers({ first, last }, 8)).toEqual({ first: 2, last: 7 });
  });

  it('a step passes the first own layers, the others, and the last own layers, and comes back as it was wanted', async () => {
    const { whole } = await cut(2, 1);
    const spans = [
      { first: 0, last: 2 },
      { first: 2, last: 7 },
      { first: 7, last: 8 },
    ];
    const runners = spans.map((span) => new SummingRunner(span, width));
    for (const runner of runners) await runner.open(session);
    const expected = async (asked: RouteStep) => {
      let { hidden } = asked;
      for (const runner of runners) hidden = await runner.step({ session, ...asked, hidden, wants: 'all' });
      return asked.wants === 'all' ? hidden : hidden.slice(-width);
    };
    for (const asked of [step(0, [1, 2, 3], 'all'), step(3, [4]), step(2, [5, 6]), step(1, [7], 'all')]) {
      expect(await whole.step(asked)).toEqual(await expected(asked));
    }
  });

  it('all positions are asked of the others where own layers come last, and only there', async () => {
    const behind = await cut(0, 1);
    await behind.whole.step(step(0, [1, 2, 3]));
    expect(behind.asked.map(({ wants }) => wants)).toEqual(['all']);
    const before = await cut(1, 0);
    await before.whole.step(step(0, [1, 2, 3]));
    expect(before.asked.map(({ wants }) => wants)).toEqual(['last']);
  });

  it('several steps in flight keep their order', async () => {
    const { whole, asked } = await cut(1, 1);
    const steps = [step(0, [1, 2]), step(2, [3]), step(3, [4, 5])];
    const results = await Promise.all(steps.map((each) => whole.step(each)));
    expect(asked.map(({ position }) => position)).toEqual([0, 2, 3]);
    const apart = await cut(1, 1);
    for (const [i, each] of steps.entries()) expect(await apart.whole.step(each)).toEqual(results[i]);
  });

  it('closed with its route, it keeps no session', async () => {
    const { whole, first, last, route } = await cut(3, 2);
    expect([first?.sessions.size, last?.sessions.size]).toEqual([1, 1]);
    whole.close();
    expect([first?.sessions.size, last?.sessions.size, route.alive]).toEqual([0, 0, false]);
  });

  it('without room here nobody else is asked, and nothing stays open', async () => {
    const first = new SummingRunner({ first: 0, last: 1 }, width);
    const last = new SummingRunner({ first: 7, last: 8 }, width, 0);
    let asked = 0;
    const opened = openOwnLayers({ first, last }, 64, async () => {
      asked++;
      return (await othersOf(new SummingRunner({ first: 1, last: 7 }, width))).route;
    });
    await expect(opened).rejects.toThrow(OwnLayersBusyError);
    expect([asked, first.sessions.size]).toEqual([0, 0]);
  });

  it('a route that does not open leaves no session behind', async () => {
    const first = new SummingRunner({ first: 0, last: 1 }, width);
    const none = new NoRouteError('demo', { missing: [], joined: [] }, []);
    await expect(openOwnLayers({ first }, 64, () => Promise.reject(none))).rejects.toBe(none);
    expect(first.sessions.size).toBe(0);
  });

  it('is over once an own layer failed', async () => {
    const { whole, first } = await cut(1, 1);
    first?.sessions.clear();
    await expect(whole.step(step(0, [1]))).rejects.toThrow('no such session');
    expect(whole.alive).toBe(false);
  });
});
