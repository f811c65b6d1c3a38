/**
 * `npm run bench -- leak`: what a stage can read. An attacker who has the public weights gets the hidden states at each
 * cut of a model, int4 weights and all, and names the words that they came from:
 * - `lookUp`: the token whose embedding is nearest;
 * - `lens`, `lensNext`: the final norm and the head, for the same token and for the next;
 * - `probe`: a linear map to the embedding, learnt from other text;
 * - `search`: every candidate through the layers before the cut, with the words before it known, until one fits.
 * Times are of one core, so that a busy machine counts for little.
 * Texts are `expected`, as the model says them itself, and `unexpected`, sentences that it was never taught.
 *
 * Read this as what a weekend brings, not as a bound. An attacker would do better with a GPU, which tries a whole
 * vocabulary as one batch; with a probe that is no straight line and learns from millions of words; with the hidden
 * states of several positions, or of both sides of a stage, at once; by guessing whole sentences. Nor do two small models
 * say how much more or less a large one shows.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createEngine, type Engine } from '@unfed/engine/node';
import { createSampler } from '@unfed/model';
import { addModel, demoModelFolder, ensureDemoModel, type ModelFolder } from '@unfed/model/node';
import { InvalidValueError } from '@unfed/protocol';
import { attackCut, trainProbes, wordsIn, type Attack, type CutOutcome, type Outcome } from './leak-attacks.ts';
import { LeakModel } from './leak-model.ts';
import { continued, leakTexts, trainingTexts, unexpectedMessages, type LeakText } from './leak-texts.ts';
import { cpuMs } from './measure.ts';

const repository = fileURLToPath(new URL('..', import.meta.url));
const outsideModel = join(repository, '../shared/models/stories260k');

type Kind = 'expected' | 'unexpected';
const kinds: readonly Kind[] = ['expected', 'unexpected'];
const attacks: readonly Attack[] = ['lookUp', 'lens', 'lensNext', 'probe', 'search'];

/** What is to be read, by its kind, and how every text of this model begins. */
interface Subject {
  readonly model: LeakModel;
  readonly start: readonly number[];
  readonly texts: Readonly<Record<Kind, readonly LeakText[]>>;
}

export async function bench(args: readonly string[]): Promise<object> {
  const { values } = parseArgs({
    args: [...args],
    options: { texts: { type: 'string', default: '10' }, 'train-tokens': { type: 'string', default: '8000' } },
  });
  const options = { texts: countOf('texts', values), trainTokens: countOf('train-tokens', values) };
  const engine = await createEngine({ backend: 'node-cpu' });
  try {
    const models = { demo: await attackModel(await demoSubject(engine, options.texts), options) };
    if (existsSync(outsideModel)) {
      const stories = await attackModel(await storiesSubject(engine, options.texts), options);
      return byFigure({ ...models, stories260k: stories });
    }
    console.error(`stories260k does not stand beside the project (${outsideModel}): only the demo model is attacked`);
    return byFigure(models);
  } finally {
    await engine.dispose();
  }
}

/** @throws InvalidValueError unless it is a number from 1 */
function countOf<Name extends string>(name: Name, values: Readonly<Record<Name, string>>): number {
  const count = Number(values[name]);
  if (!Number.isSafeInteger(count) || count < 1) throw new InvalidValueError(name, 'a number from 1', values[name]);
  return count;
}

/** Conversations of one question. The attacker knows how a chat begins. */
async function demoSubject(engine: Engine, count: number): Promise<Subject> {
  const folder = await ensureDemoModel(join(repository, 'build/models'));
  const model = await LeakModel.open(engine, folder);
  const whole = await model.openSpan({ first: 0, last: model.architecture.layers });
  const { tokenizer } = model;
  const asked = (content: string): number[] => tokenizer.encodeChat([{ role: 'user', content }]);
  const questions = JSON.parse(readFileSync(join(demoModelFolder, 'questions.json'), 'utf8')) as { question: string }[];
  const expected: number[][] = [];
  for (let i = 0; i < count; i++) {
    const { question } = questions[Math.floor((i * questions.length) / count)];
    const options = { whole, sampler: createSampler(), tokensMax: 64, endTokens: tokenizer.endTokens };
    expected.push(await continued(model, asked(question), options));
  }
  await whole.close();
  const texts = {
    expected: await leakTexts(model, expected),
    unexpected: await leakTexts(model, unexpectedMessages.map(asked)),
  };
  return { model, start: asked('').slice(0, 2), texts };
}

/** Stories that the model tells by chance, and sentences that are none. */
async function storiesSubject(engine: Engine, count: number): Promise<Subject> {
  const folder: ModelFolder = await addModel({
    folder: outsideModel,
    out: join(repository, 'build/models-bench'),
    quantize: 'int4',
  });
  const model = await LeakModel.open(engine, folder);
  const whole = await model.openSpan({ first: 0, last: model.architecture.layers });
  const start = model.tokenizer.encode('');
  const expected: number[][] = [];
  for (let i = 0; i < count; i++) {
    const sampler = createSampler({ temperature: 1, seed: 100_000 + i });
    expected.push(await continued(model, start, { whole, sampler, tokensMax: 32 }));
  }
  await whole.close();
  const texts = {
    expected: await leakTexts(model, expected),
    unexpected: await leakTexts(
      model,
      unexpectedMessages.map((message) => model.tokenizer.encode(message)),
    ),
  };
  return { model, start, texts };
}

/** Figures of one model; those by cut are lists, from before the first layer to behind the last. */
type ModelFigures = Readonly<Record<string, unknown>>;

async function attackModel({ model, start, texts }: Subject, { trainTokens }: { trainTokens: number }) {
  const apart = kinds.flatMap((kind) => texts[kind]);
  const startMs = cpuMs();
  const training = await trainingTexts(model, { start, tokens: trainTokens, apart });
  const probes = await trainProbes(model, training);
  const trainMs = cpuMs() - startMs;
  const outcomes: Record<Kind, CutOutcome[]> = { expected: [], unexpected: [] };
  for (const kind of kinds) {
    for (const [cut, probe] of probes.entries())
      outcomes[kind].push(await attackCut(model, texts[kind], { cut, probe }));
  }
  const byKind = <T>(figure: (cuts: readonly CutOutcome[], kind: Kind) => T) => ({
    expected: figure(outcomes.expected, 'expected'),
    unexpected: figure(outcomes.unexpected, 'unexpected'),
  });
  const byAttack = (figure: (outcome: Outcome) => number) =>
    byKind((cuts) => Object.fromEntries(attacks.map((attack) => [attack, cuts.map((cut) => figure(cut[attack]))])));
  return {
    recovered: byAttack(({ recovered }) => round(recovered)),
    msPerToken: byAttack(({ msPerToken }) => round(msPerToken)),
    searchTriesPerToken: byKind((cuts) => cuts.map(({ searched }) => round(searched.tries / searched.positions))),
    /** Where no guess helps at all: the whole vocabulary, one after the other. */
    searchMsPerTokenMax: probes.map((_, cut) => {
      const both = kinds.map((kind) => outcomes[kind][cut].searched);
      const msPerTry = sum(both.map(({ triesMs }) => triesMs)) / sum(both.map(({ tries }) => tries));
      return round(msPerTry * model.architecture.vocabulary);
    }),
    words: byKind((_, kind) => wordsIn(texts[kind])),
    probeTrainTokens: sum(training.map(({ length }) => length)),
    probeTrainMs: round(trainMs),
  };
}

/** Figures by name, then by model: so that a figure of all models stands together. */
function byFigure(models: Readonly<Record<string, ModelFigures>>): object {
  const figures = Object.keys(Object.values(models)[0] ?? {});
  return Object.fromEntries(
    figures.map((figure) => [
      figure,
      Object.fromEntries(Object.entries(models).map(([name, values]) => [name, values[figure]])),
    ]),
  );
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function round(value: number): number {
  return Number(value.toPrecision(3));
}
