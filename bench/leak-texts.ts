/** What the attacker of `leak` tries to read, and the other text that it learns from. */
import { createSampler, type Sampler } from '@unfed/model';
import { seededRandom } from '@unfed/testing';
import type { LeakModel, OpenSpan } from './leak-model.ts';

/** One text, as stages at every cut see it. */
export interface LeakText {
  readonly ids: readonly number[];
  /** By cut, `[tokens, width]`. */
  readonly cuts: readonly Float32Array[];
  /** Positions of the words to be read. */
  readonly words: readonly number[];
}

/** Private things in words that the small models do not expect: what their own guesses do not help to read. */
export const unexpectedMessages: readonly string[] = [
  'My bank card 4417 was stolen in Leeds on Tuesday, please help.',
  'I was told that I have hepatitis. Must my employer know?',
  'Dr. Okafor wrote: stop the lithium, take 20 mg of fluoxetine.',
  'Which border crossing near Przemysl is not watched at night?',
  'Do not tell Ruth that I am selling the house in Quito.',
  'The password of the vault is tulip-Xq7-harbour.',
];

/**
 * Words are tokens that say something: not the first, not the marks of a chat, and not those that share their embedding
 * with others, as tokens do that a model never met; nobody could tell them apart, the model included.
 */
export async function leakTexts(model: LeakModel, texts: readonly (readonly number[])[]): Promise<LeakText[]> {
  const unmet = sharedEmbeddings(model);
  const isWord = (id: number): boolean => !unmet.has(id) && model.tokenizer.decode([id]) !== '';
  const read: LeakText[] = [];
  for (const ids of texts) {
    const words = [...ids.keys()].filter((position) => position > 0 && isWord(ids[position]));
    read.push({ ids, cuts: await model.hiddenAtCuts(ids), words });
  }
  return read;
}

function sharedEmbeddings(model: LeakModel): Set<number> {
  const byRow = new Map<string, number[]>();
  for (let id = 0; id < model.architecture.vocabulary; id++) {
    const row = model.rowOf(model.embedding, id).join();
    byRow.set(row, [...(byRow.get(row) ?? []), id]);
  }
  return new Set([...byRow.values()].filter(({ length }) => length > 1).flat());
}

/** Goes on with a text, token by token, until one of `endTokens` or `tokensMax` more. */
export async function continued(
  model: LeakModel,
  start: readonly number[],
  options: { whole: OpenSpan; sampler: Sampler; tokensMax: number; endTokens?: ReadonlySet<number> },
): Promise<number[]> {
  const { whole, sampler, tokensMax, endTokens } = options;
  const ids = [...start];
  let held = 0;
  while (ids.length < start.length + tokensMax && endTokens?.has(ids[ids.length - 1]) !== true) {
    const hidden = await whole.step(held, model.embed(ids.slice(held)));
    held = ids.length;
    ids.push(sampler.next(await model.logits(model.rowOf(hidden, -1)), ids));
  }
  return ids;
}

const sampledTokens = 96;
const noiseTokens = 64;
/** Training texts share no run of so many tokens with what is to be read. */
const runTokens = 8;

/**
 * Text to learn from: half of it what the model says when nobody asks it anything, half noise, which has every token.
 * @param options.apart what is to be read
 * @returns `tokens` tokens in all, or a few more
 */
export async function trainingTexts(
  model: LeakModel,
  options: { start: readonly number[]; tokens: number; apart: readonly LeakText[] },
): Promise<number[][]> {
  const { start, tokens, apart } = options;
  const { layers, vocabulary } = model.architecture;
  const toRead = new Set(apart.flatMap(({ ids }) => runsOf(ids)));
  const whole = await model.openSpan({ first: 0, last: layers });
  const texts: number[][] = [];
  let count = 0;
  for (let seed = 1; count < tokens / 2; seed++) {
    const sampler = createSampler({ temperature: 1, seed });
    const ids = await continued(model, start, { whole, sampler, tokensMax: sampledTokens });
    if (runsOf(ids).some((run) => toRead.has(run))) continue;
    texts.push(ids);
    count += ids.length;
  }
  await whole.close();
  const random = seededRandom(7);
  for (; count < tokens; count += 1 + noiseTokens) {
    const noise = Array.from({ length: noiseTokens }, () => Math.floor(random() * vocabulary));
    texts.push([start[0], ...noise]);
  }
  return texts;
}

function runsOf(ids: readonly number[]): string[] {
  const runs = Math.max(0, ids.length - runTokens + 1);
  return Array.from({ length: runs }, (_, i) => ids.slice(i, i + runTokens).join());
}
