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
  check('temperature', temperature, { expected: '0 or more', good: temperature >= 0 && Number.isFinite(temperature) });
  check('topK', topK, { expected: 'a whole number from 0', good: Number.isSafeInteger(topK) && topK >= 0 });
  check('topP', topP, { expected: 'over 0 and at most 1', good: topP > 0 && topP <= 1 });
  const finitePenalty = repetitionPenalty > 0 && Number.isFinite(repetitionPenalty);
  check('repetitionPenalty', repetitionPenalty, { expected: 'over 0', good: finitePenalty });
  const random = seededNumbers(seed ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  return {
    next(logits, history) {
      const scores = repetitionPenalty === 1 ? logits : penalized(logits, history, repetitionPenalty);
      const best = argmax(scores);
      if (temperature === 0) return best;
      const distribution = topK > 0 && topK < scores.length ? among(highestIndices(scores, topK)) : among(undefined);
      const { candidates, weights, mass } = topP < 1 ? cutToShare(distribution, scores, topP) : distribution;
      return draw(candidates, weights, random() * mass) ?? best;

      function among(candidates: readonly number[] | undefined): Distribution {
        return weighted(scores, candidates, { temperature, highest: scores[best] });
      }
    },
  };
}

function check(what: string, value: number, { expected, good }: { expected: string; good: boolean }): void {
  if (!good) throw new InvalidValueError(what, expected, String(value));
}

/** @returns the index of the highest number, the lowest such index where several are equal */
export function argmax(values: Float32Array): number {
  let best = -1;
  let highest = -Infinity;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
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

/** Tokens that may be drawn, each with its likelihood relative to the most likely one. */
interface Distribution {
  /** Tokens by place in `weights`; undefined where place and token are the same. */
  readonly candidates: readonly number[] | undefined;
  /** 0 for what is no number. */
  readonly weights: Float64Array;
  /** Their sum. */
  readonly mass: number;
}

function weighted(
  scores: Float32Array,
  candidates: readonly number[] | undefined,
  { temperature, highest }: { temperature: number; highest: number },
): Distribution {
  const weights = new Float64Array(candidates?.length ?? scores.length);
  let mass = 0;
  for (let i = 0; i < weights.length; i++) {
    const score = scores[candidates === undefined ? i : candidates[i]];
    const weight = Math.exp((score - highest) / temperature) || 0;
    weights[i] = weight;
    mass += weight;
  }
  return { candidates, weights, mass };
}

/** The most likely tokens whose share of the mass is `topP` together. */
function cutToShare(all: Distribution, scores: Float32Array, topP: number): Distribution {
  const share = topP * all.mass;
  // Nearly always a few tokens reach it. Tokens that were narrowed before are in order already.
  const first = all.candidates ?? highestIndices(scores, limits.samplerCandidates);
  const weights = all.candidates === undefined ? Float64Array.from(first, (id) => all.weights[id]) : all.weights;
  const cut = placeOfShare(weights, share);
  if (cut !== undefined) {
    return { candidates: first.slice(0, cut.count), weights: weights.subarray(0, cut.count), mass: cut.mass };
  }
  return all.candidates === undefined ? cutWhole(all, share) : all;
}

/** The same over a whole vocabulary: numbers are sorted without their tokens, which is fast, and then found again. */
function cutWhole({ weights }: Distribution, share: number): Distribution {
  const sorted = weights.slice().sort().reverse();
  const count = placeOfShare(sorted, share)?.count ?? sorted.length;
  const lowest = sorted[count - 1];
  let equal = count - sorted.indexOf(lowest);
  const candidates: number[] = [];
  weights.forEach((weight, id) => {
    if (weight > lowest || (weight === lowest && equal-- > 0)) candidates.push(id);
  });
  const kept = Float64Array.from(candidates, (id) => weights[id]);
  return { candidates, weights: kept, mass: kept.reduce((sum, weight) => sum + weight, 0) };
}

/** How many of the first weights reach `share`; undefined when all do not. */
function placeOfShare(weights: Float64Array, share: number): { count: number; mass: number } | undefined {
  let mass = 0;
  for (let i = 0; i < weights.length; i++) {
    mass += weights[i];
    if (mass >= share) return { count: i + 1, mass };
  }
  return undefined;
}

/** The token at which the running sum of weights passes `point`. */
function draw(candidates: readonly number[] | undefined, weights: Float64Array, point: number): number | undefined {
  let left = point;
  let last: number | undefined;
  for (let i = 0; i < weights.length; i++) {
    const weight = weights[i];
    if (weight === 0) continue;
    last = i;
    left -= weight;
    if (left < 0) break;
  }
  return last === undefined || candidates === undefined ? last : candidates[last];
}

/** @returns the indices of the `count` highest numbers, highest first, lower index first among equals: a heap of that size */
export function highestIndices(values: Float32Array, count: number): number[] {
  const below = (a: number, b: number) => {
    const x = values[a];
    const y = values[b];
    return x < y || (x === y && a > b);
  };
  const heap: number[] = [];
  // A later index beats the lowest of a full heap only with a higher number.
  let lowest = -Infinity;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    const full = heap.length === count;
    if (Number.isNaN(value) || (full && value <= lowest)) continue;
    if (full) {
      heap[0] = i;
      siftDown(heap, below);
    } else {
      heap.push(i);
      siftUp(heap, below);
    }
    lowest = values[heap[0]];
  }
  return heap.sort((a, b) => (below(a, b) ? 1 : -1));
}

type Below = (a: number, b: number) => boolean;

function siftUp(heap: number[], below: Below): void {
  let at = heap.length - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!below(heap[at], heap[parent])) return;
    swap(heap, at, parent);
    at = parent;
  }
}

function siftDown(heap: number[], below: Below): void {
  let at = 0;
  for (;;) {
    let lowest = at;
    for (const child of [2 * at + 1, 2 * at + 2]) {
      if (child < heap.length && below(heap[child], heap[lowest])) lowest = child;
    }
    if (lowest === at) return;
    swap(heap, at, lowest);
    at = lowest;
  }
}

function swap(heap: number[], a: number, b: number): void {
  const held = heap[a];
  heap[a] = heap[b];
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
