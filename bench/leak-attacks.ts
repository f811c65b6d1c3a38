/** The attacks of `leak` at one cut, each with the share of words that it reads and the computing that a word takes. */
import { argmax } from '@unfed/model';
import type { LeakModel } from './leak-model.ts';
import { ProbeTraining } from './leak-probe.ts';
import { search, type SearchResult } from './leak-search.ts';
import type { LeakText } from './leak-texts.ts';
import { cpuMs } from './measure.ts';

/** `lens` guesses a position's own token, `lensNext` the token behind it. */
export type Attack = 'lookUp' | 'lens' | 'lensNext' | 'probe' | 'search';

export interface Outcome {
  /** Of all words. */
  readonly recovered: number;
  /** Of one core. */
  readonly msPerToken: number;
}

export type Probe = (hidden: Float32Array) => Float32Array;

/** One probe a cut, from hidden states of `texts`. */
export async function trainProbes(model: LeakModel, texts: readonly (readonly number[])[]): Promise<Probe[]> {
  const { width, layers } = model.architecture;
  const trainings = Array.from({ length: layers + 1 }, () => new ProbeTraining(width));
  for (const ids of texts) {
    const cuts = await model.hiddenAtCuts(ids);
    cuts.forEach((hidden, cut) => {
      for (let i = 1; i < ids.length; i++) {
        trainings[cut].add(model.rowOf(hidden, i), model.rowOf(model.embedding, ids[i]));
      }
    });
  }
  return trainings.map((training) => training.fit());
}

/** What an attack at one cut came to. */
export interface CutOutcome extends Readonly<Record<Attack, Outcome>> {
  readonly searched: SearchResult;
}

/** @param probe the one of this cut */
export async function attackCut(
  model: LeakModel,
  texts: readonly LeakText[],
  { cut, probe }: { cut: number; probe: Probe },
): Promise<CutOutcome> {
  const words = wordsIn(texts);
  const measured = async (attack: () => Promise<number>): Promise<Outcome> => {
    const startMs = cpuMs();
    const found = await attack();
    return { recovered: found / words, msPerToken: (cpuMs() - startMs) / words };
  };
  const guessed = (guess: (hidden: Float32Array) => number | Promise<number>, ahead = 0): Promise<Outcome> =>
    measured(async () => {
      let found = 0;
      for (const text of texts) {
        for (const word of text.words) {
          if ((await guess(model.rowOf(text.cuts[cut], word - ahead))) === text.ids[word]) found++;
        }
      }
      return found;
    });
  const likeness = cosines(model);
  const lens = async (hidden: Float32Array): Promise<number> => argmax(await model.logits(hidden));
  const learnt = (hidden: Float32Array): Float32Array => likeness(probe(hidden));
  let searched: SearchResult = { found: 0, positions: 0, tries: 0, triesMs: 0 };
  const searching = async (): Promise<number> => {
    searched = await search(model, texts, { cut, likeness: learnt });
    return searched.found;
  };
  const outcomes = {
    lookUp: await guessed((hidden) => argmax(likeness(hidden))),
    lens: await guessed(lens),
    lensNext: await guessed(lens, 1),
    probe: await guessed((hidden) => argmax(learnt(hidden))),
    search: await measured(searching),
  };
  return { ...outcomes, searched };
}

export function wordsIn(texts: readonly LeakText[]): number {
  return texts.reduce((sum, { words }) => sum + words.length, 0);
}

/** How nearly the embedding of each token points where a vector does. */
function cosines({ embedding, architecture }: LeakModel): (vector: Float32Array) => Float32Array {
  const { width, vocabulary } = architecture;
  const lengths = new Float32Array(vocabulary);
  for (let id = 0; id < vocabulary; id++) lengths[id] = Math.hypot(...embedding.subarray(id * width, (id + 1) * width));
  return (vector) => {
    const cosines = new Float32Array(vocabulary);
    for (let id = 0; id < vocabulary; id++) {
      let product = 0;
      for (let i = 0; i < width; i++) product += vector[i] * embedding[id * width + i];
      cosines[id] = product / lengths[id];
    }
    return cosines;
  };
}
