/**
 * Chooses the next token from logits: greedy, or seeded chance after repetition penalty, temperature, top-k and top-p
 * (nucleus, https://arxiv.org/abs/1904.09751), in this order. Never sorts a whole vocabulary.
 */
import { InvalidValueError } from '@unfed/protocol';
import * as limits from './limits.ts';

export interface SamplerOptions {
  /** 0 is greedy, the default. */
  readonly temperature?: number;
  /** Only the k most likely; 0 or absent for all. */
  readonly topK?: number;
  /** Only the most likely whose shares reach p together; 1 or absent for all. */
  readonly topP?: number;
  /** Over 1 makes tokens of the history less likely (https://arxiv.org/abs/1909.05858, 4.1). */
  readonly repetitionPenalty?: number;
  /** Same seed, same choices; random when absent. */
  readonly seed?: number;
}

export interface Sampler {
  /**
   * @param logits f32 `[vocabulary]`; not changed
   * @param history tokens of prompt and answer so far
   * @throws InvalidValueError when no logit is a number
   */
  next(logits: Float32Array, history: readonly number[]): number;
}

/** @throws InvalidValueError for options outside their range */
export function createSampler(options: SamplerOptions = {}): Sampler {
  const { temperature = 0, topK = 0, topP = 1, repetitionPenalty = 1, seed } = options;
  checkRange('temperature', temperature, temperature >= 0 && Number.isFinite(temperature));
  checkRange('topK', topK, Number.isSafeInteger(topK) && topK >= 0);
  checkRange('topP', topP, topP > 0 && topP <= 1);
  checkRange('repetitionPenalty', repetitionPenalty, repetitionPenalty > 0 && Number.isFinite(repetitionPenalty));
  const random = seededNumbers(seed ?? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0);
  return {
    next(logits, history) {
      const scores = repetitionPenalty === 1 ? logits : penalized(logits, history, repetitionPenalty);
      const best = argmax(scores);
      if (temperature === 0) return best;
      const distribution = { scores, temperature, highest: scores[best] ?? 0 };
      const { candidates, mass } = narrowed(distribution, topK, topP);
      return draw(distribution, candidates, random() * mass) ?? best;
    },
  };
}

function checkRange(what: string, value: number, good: boolean): void {
  const expected = {
    temperature: '0 or more',
    topK: 'a whole number from 0',
    topP: 'over 0 and at most 1',
    repetitionPenalty: 'over 0',
  }[what];
  if (!good) throw new InvalidValueError(what, expected ?? 'a number', String(value));
}

/** @returns the index of the highest number, the lowest such index where several are equal */
export function argmax(values: Float32Array): number {
  let best = -1;
  let highest = -Infinity;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? Number.NaN;
    if (value > highest || (best < 0 && value === highest)) {
      highest = value;
      best = i;
    }
  }
  if (best < 0) throw new InvalidValueError('logits', 'at least one number', `${values.length} that are none`);
  return best;
}

function penalized(logits: Float32Array, history: readonly number[], penalty: number): Float32Array {
  const scores = logits.slice();
  for (const id of new Set(history)) {
    const score = scores[id];
    if (score !== undefined) scores[id] = score < 0 ? score * penalty : score / penalty;
  }
  return scores;
}

interface Distribution {
  readonly scores: Float32Array;
  readonly temperature: number;
  readonly highest: number;
}

/** Likelihood of a token relative to the most likely one; 0 for what is no number. */
function weight({ scores, temperature, highest }: Distribution, id: number): number {
  return Math.exp(((scores[id] ?? Number.NaN) - highest) / temperature) || 0;
}

interface Narrowed {
  /** Most likely first; undefined for all. */
  readonly candidates: readonly number[] | undefined;
  /** The sum of their weights. */
  readonly mass: number;
}

function narrowed(distribution: Distribution, topK: number, topP: number): Narrowed {
  const size = distribution.scores.length;
  const limited = topK > 0 && topK < size;
  if (limited) {
    const candidates = highestIndices(distribution.scores, topK);
    return cutToShare(distribution, candidates, topP * sumWeights(distribution, candidates)) ?? whole(candidates);
  }
  const mass = sumWeights(distribution, undefined);
  if (topP === 1) return { candidates: undefined, mass };
  for (let count = Math.min(limits.samplerCandidates, size); ; count = Math.min(8 * count, size)) {
    const candidates = highestIndices(distribution.scores, count);
    const cut = cutToShare(distribution, candidates, topP * mass);
    if (cut !== undefined) return cut;
    if (count === size) return whole(candidates);
  }

  function whole(candidates: readonly number[]): Narrowed {
    return { candidates, mass: sumWeights(distribution, candidates) };
  }
}

/** @returns the first candidates that reach `share` together; undefined when all do not */
function cutToShare(distribution: Distribution, candidates: readonly number[], share: number): Narrowed | undefined {
  let mass = 0;
  for (const [i, id] of candidates.entries()) {
    mass += weight(distribution, id);
    if (mass >= share) return { candidates: candidates.slice(0, i + 1), mass };
  }
  return undefined;
}

function sumWeights(distribution: Distribution, candidates: readonly number[] | undefined): number {
  let mass = 0;
  if (candidates === undefined) {
    for (let id = 0; id < distribution.scores.length; id++) mass += weight(distribution, id);
  } else {
    for (const id of candidates) mass += weight(distribution, id);
  }
  return mass;
}

/** The token at which the running sum of weights passes `point`. */
function draw(
  distribution: Distribution,
  candidates: readonly number[] | undefined,
  point: number,
): number | undefined {
  const count = candidates?.length ?? distribution.scores.length;
  let left = point;
  let last: number | undefined;
  for (let i = 0; i < count; i++) {
    const id = candidates === undefined ? i : (candidates[i] ?? 0);
    const share = weight(distribution, id);
    if (share === 0) continue;
    last = id;
    left -= share;
    if (left < 0) return id;
  }
  return last;
}

/** @returns the indices of the `count` highest numbers, highest first, lower index first among equals: a heap of that size */
export function highestIndices(values: Float32Array, count: number): number[] {
  const below = (a: number, b: number) => {
    const [x, y] = [values[a] ?? 0, values[b] ?? 0];
    return x < y || (x === y && a > b);
  };
  const heap: number[] = [];
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i])) continue;
    if (heap.length < count) {
      heap.push(i);
      siftUp(heap, below);
    } else if (below(heap[0] ?? 0, i)) {
      heap[0] = i;
      siftDown(heap, below);
    }
  }
  return heap.sort((a, b) => (below(a, b) ? 1 : -1));
}

type Below = (a: number, b: number) => boolean;

function siftUp(heap: number[], below: Below): void {
  let at = heap.length - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!below(heap[at] ?? 0, heap[parent] ?? 0)) return;
    swap(heap, at, parent);
    at = parent;
  }
}

function siftDown(heap: number[], below: Below): void {
  let at = 0;
  for (;;) {
    let lowest = at;
    for (const child of [2 * at + 1, 2 * at + 2]) {
      if (child < heap.length && below(heap[child] ?? 0, heap[lowest] ?? 0)) lowest = child;
    }
    if (lowest === at) return;
    swap(heap, at, lowest);
    at = lowest;
  }
}

function swap(heap: number[], a: number, b: number): void {
  const held = heap[a] ?? 0;
  heap[a] = heap[b] ?? 0;
  heap[b] = held;
}

/** Numbers in [0, 1) by mulberry32: 32 bits of state are plenty for one answer. */
function seededNumbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
