/** Prefill and decode: tokens in, tokens out, over any route. */
import type { Ends } from '@unfed/engine';
import * as limits from './limits.ts';
import type { Route, RouteStep } from './route.ts';

/** Where the time of decoding went, summed over its steps; the prompt is not counted. */
export interface DecodeTiming {
  steps: number;
  /** Embedding, head and sampling at the user's own machine. */
  endsMs: number;
  /** From a step's start to its result, own layers included. */
  routeMs: number;
}

export interface GenerationOptions {
  readonly route: Route;
  readonly ends: Ends;
  /** The prompt, at least one token. */
  readonly prompt: readonly number[];
  /**
   * The tokens whose positions the route's caches hold, from 0 on; empty for a new route. Kept up to date here, so that
   * the next turn of a conversation sends only what is new.
   */
  readonly held: number[];
  /** Width of the hidden states. */
  readonly width: number;
  /** Tokens that end the answer; they are not given out. */
  readonly endTokens: ReadonlySet<number>;
  readonly tokensMax: number;
  readonly sample: (logits: Float32Array, history: readonly number[]) => number;
  readonly signal?: AbortSignal;
  /** Added to while decoding. */
  readonly timing?: DecodeTiming;
}

export type GenerationEnd = 'eos' | 'length' | 'context' | 'stopped';

/**
 * Gives out each token as soon as it is chosen.
 * @returns why it ended; `stopped` when the signal aborted
 * @throws what the route's step throws, and the ends
 */
export async function* generate(options: GenerationOptions): AsyncGenerator<number, GenerationEnd, void> {
  const { route, endTokens, held, signal } = options;
  const history = [...options.prompt];
  let last = await unlessAborted(prefill(options), signal);
  if (last === 'aborted') return 'stopped';
  for (let count = 1; ; count++) {
    const token = await chooseToken(options, last, history);
    if (endTokens.has(token)) return 'eos';
    history.push(token);
    yield token;
    if (count >= options.tokensMax) return 'length';
    if (history.length >= route.positionsMax) return 'context';
    if (signal?.aborted === true) return 'stopped';
    const step = decodeStep(options, token, history.length - 1);
    last = await unlessAborted(step, signal);
    if (last === 'aborted') return 'stopped';
    held.push(token);
  }
}

async function chooseToken(
  { ends, sample, timing }: GenerationOptions,
  last: Float32Array,
  history: readonly number[],
): Promise<number> {
  const startMs = performance.now();
  const token = sample(await ends.logits(last), history);
  if (timing !== undefined) timing.endsMs += performance.now() - startMs;
  return token;
}

async function decodeStep(
  { route, ends, timing, signal }: GenerationOptions,
  token: number,
  position: number,
): Promise<Float32Array> {
  const startMs = performance.now();
  const hidden = await ends.embed([token]);
  signal?.throwIfAborted();
  const sentMs = performance.now();
  const result = await route.step({ position, tokens: 1, hidden, wants: 'last' });
  if (timing !== undefined) {
    timing.steps++;
    timing.endsMs += sentMs - startMs;
    timing.routeMs += performance.now() - sentMs;
  }
  return result;
}

/**
 * Sends what of the prompt the caches do not hold, in steps of bounded size, several in flight, so that stages work at
 * the same time.
 * @returns the last position's hidden state, `[1, width]`
 */
async function prefill({ route, ends, prompt, held, width, signal }: GenerationOptions): Promise<Float32Array> {
  // The last position is computed again even where it is held: its hidden state is what the head needs.
  held.length = Math.min(commonPrefix(held, prompt), prompt.length - 1);
  const positionsMax = prefillPositionsMax(width);
  const inFlight: Promise<Float32Array>[] = [];
  for (let position = held.length; position < prompt.length; position += positionsMax) {
    const tokens = prompt.slice(position, position + positionsMax);
    const step: RouteStep = { position, tokens: tokens.length, hidden: await ends.embed(tokens), wants: 'last' };
    if (inFlight.length >= limits.prefillStepsInFlightMax)
      await inFlight[inFlight.length - limits.prefillStepsInFlightMax];
    // Asked right before sending: behind the next turn's steps, a late one would cut their positions away.
    signal?.throwIfAborted();
    const result = route.step(step);
    // Steps in flight fail together; the one that is awaited says it.
    result.catch(() => undefined);
    inFlight.push(result);
  }
  const results = await Promise.all(inFlight);
  // Once stopped, `held` is the next turn's to change; its steps may have cut back what these wrote.
  signal?.throwIfAborted();
  held.push(...prompt.slice(held.length));
  return results[results.length - 1];
}

/** Positions of a prompt step: bounded in bytes and in number. */
export function prefillPositionsMax(width: number): number {
  const byBytes = Math.floor(limits.prefillStepBytesMax / (Float32Array.BYTES_PER_ELEMENT * width));
  return Math.max(1, Math.min(limits.prefillStepPositionsMax, byBytes));
}

export function commonPrefix(a: readonly number[], b: readonly number[]): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

/** Does not wait for a step once the person pressed stop; its result comes late and is nobody's. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T | 'aborted'> {
  if (signal === undefined) return work;
  if (signal.aborted) {
    work.catch(() => undefined);
    return 'aborted';
  }
  let onAbort: () => void = () => undefined;
  const aborted = new Promise<'aborted'>((resolve) => {
    onAbort = () => resolve('aborted');
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } catch (error) {
    if (signal.aborted) return 'aborted';
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
