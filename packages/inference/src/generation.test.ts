import type { Ends } from '@unfed/engine';
import { describe, expect, it } from 'vitest';
import { generate, type GenerationOptions } from './generation.ts';
import type { Route, RouteStep } from './route.ts';

const width = 2;
const ends: Ends = {
  embed: async (ids) => new Float32Array(ids.length * width),
  logits: async () => Float32Array.of(0, 1),
  dispose: async () => undefined,
};

/** A route whose steps wait until the test answers them. */
function waitingRoute() {
  const sent: { step: RouteStep; answer: () => void }[] = [];
  const route: Route = {
    hops: [],
    positionsMax: 64,
    alive: true,
    step: (step) => new Promise((resolve) => sent.push({ step, answer: () => resolve(new Float32Array(width)) })),
    close: () => undefined,
  };
  return { route, sent };
}

const turn = (prompt: readonly number[], shared: Pick<GenerationOptions, 'route' | 'held' | 'signal'>) =>
  generate({ ends, prompt, width, endTokens: new Set([1]), tokensMax: 8, sample: () => 1, ...shared });

const settled = () => new Promise((resolve) => setTimeout(resolve));

describe('generation', () => {
  it('a prompt that was stopped and answered late is not taken for held: the next turn owns what the caches hold', async () => {
    const { route, sent } = waitingRoute();
    const held: number[] = [];
    const abort = new AbortController();
    const first = turn([5, 6, 7, 8], { route, held, signal: abort.signal }).next();
    await settled();
    abort.abort();
    expect(await first).toEqual({ done: true, value: 'stopped' });
    const second = turn([5, 9], { route, held }).next();
    await settled();
    for (const { answer } of sent) answer();
    expect(await second).toEqual({ done: true, value: 'eos' });
    await settled();
    expect(held).toEqual([5, 9]);
    void turn([5, 6, 7, 8, 9], { route, held }).next();
    await settled();
    expect(sent[2].step).toMatchObject({ position: 1, tokens: 4 });
  });

  it('after stop no step is sent any more, also where the words were being embedded', async () => {
    const { route, sent } = waitingRoute();
    const abort = new AbortController();
    let embedded: () => void = () => undefined;
    const slow: Ends = {
      ...ends,
      embed: (ids) => new Promise((resolve) => (embedded = () => resolve(new Float32Array(ids.length * width)))),
    };
    const options = { route, held: [], signal: abort.signal, prompt: [5, 6], width, tokensMax: 8, sample: () => 1 };
    const stopped = generate({ ...options, ends: slow, endTokens: new Set() }).next();
    await settled();
    abort.abort();
    expect(await stopped).toEqual({ done: true, value: 'stopped' });
    embedded();
    await settled();
    expect(sent).toEqual([]);
  });
});
