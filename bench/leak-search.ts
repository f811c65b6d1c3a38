/**
 * The exhaustive causal search: who knows the words so far can compute what every candidate for the next one would look
 * like at the cut, and knows the word as soon as one looks like what was seen. It cannot miss; a deeper cut only makes
 * each try longer. The order of the tries is the best first by two guesses in turn: the caller's, of what the hidden state
 * looks like, and the model's own, of what comes after the hidden states seen before.
 */
import { highestIndices } from '@unfed/model';
import type { LeakModel, OpenSpan } from './leak-model.ts';
import type { LeakText } from './leak-texts.ts';
import { cpuMs } from './measure.ts';

/** Of the largest value. Kernels differ by 1e-5 and float16 between stages by 5e-4; other tokens by far more. */
const matchTolerance = 1e-3;

export interface SearchResult {
  /** Words found. */
  readonly found: number;
  /** Positions searched, candidates computed at all of them, and what that took of one core. */
  readonly positions: number;
  readonly tries: number;
  readonly triesMs: number;
}

export interface SearchOptions {
  readonly cut: number;
  /** How much a hidden state at the cut looks like each token, `[vocabulary]`, higher for more. */
  readonly likeness: (hidden: Float32Array) => Float32Array;
}

/** @param texts each begins with a token that everybody knows */
export async function search(
  model: LeakModel,
  texts: readonly LeakText[],
  { cut, likeness }: SearchOptions,
): Promise<SearchResult> {
  const { layers, vocabulary } = model.architecture;
  const before = await model.openSpan({ first: 0, last: cut });
  const after = await model.openSpan({ first: cut, last: layers });
  const result = { found: 0, positions: 0, tries: 0, triesMs: 0 };
  for (const { ids, cuts, words } of texts) {
    const isWord = new Set(words);
    await before.step(0, model.embed([ids[0]]));
    for (let position = 1; position < ids.length; position++) {
      const seen = model.rowOf(cuts[cut], position);
      const expected = await model.logits(await after.step(position - 1, model.rowOf(cuts[cut], position - 1)));
      const looks = highestIndices(likeness(seen), vocabulary);
      const candidates = inTurn(looks, highestIndices(expected, vocabulary));
      const startMs = cpuMs();
      const { token, tries } = await firstThatFits(model, candidates, { before, position, seen });
      result.triesMs += cpuMs() - startMs;
      result.tries += tries;
      result.positions++;
      if (isWord.has(position) && token === ids[position]) result.found++;
    }
  }
  await before.close();
  await after.close();
  return result;
}

/** Leaves what it found in the caches of `before`: the nearest, where nothing fits. */
async function firstThatFits(
  model: LeakModel,
  candidates: Iterable<number>,
  { before, position, seen }: { before: OpenSpan; position: number; seen: Float32Array },
): Promise<{ token: number; tries: number }> {
  let nearest = { token: -1, difference: Infinity };
  let tries = 0;
  for (const token of candidates) {
    const difference = differenceOf(await before.step(position, model.embed([token])), seen);
    tries++;
    if (difference < nearest.difference) nearest = { token, difference };
    if (difference <= matchTolerance) return { token, tries };
  }
  await before.step(position, model.embed([nearest.token]));
  return { token: nearest.token, tries };
}

/** Each number once, from the two lists in turn. */
function inTurn(a: readonly number[], b: readonly number[]): Set<number> {
  return new Set(a.flatMap((value, i) => [value, b[i]]));
}

/** The largest difference, as a part of the largest value that was seen. */
function differenceOf(tried: Float32Array, seen: Float32Array): number {
  let difference = 0;
  let largest = 0;
  for (let i = 0; i < seen.length; i++) {
    difference = Math.max(difference, Math.abs(tried[i] - seen[i]));
    largest = Math.max(largest, Math.abs(seen[i]));
  }
  return difference / largest;
}
