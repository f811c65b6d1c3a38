/** The demo model cut into stages, in one page, on the backend that the test names. */
import { createEngine, type Backend } from '@unfed/engine';
import type { OwnLayers } from '@unfed/client';
import { loadTokenizer } from '@unfed/model';
import { manifestHash, type Precision } from '@unfed/protocol';
import { httpSeed } from '@unfed/swarm';
import {
  CutModel,
  expectedTokens,
  type Continuation,
  type PromptRow,
  type Subject,
} from '../../packages/client/src/same-tokens.suite.ts';

export interface SameTokensHarness {
  start(options: { backend: Backend; hash: string }): Promise<void>;
  /** One process, one span. */
  alone(prompts: readonly PromptRow[], tokensMax: number): Promise<Continuation[]>;
  cut(
    stages: number,
    prompts: readonly PromptRow[],
    options: { tokensMax: number; precision: Precision; ownLayers?: OwnLayers },
  ): Promise<Continuation[]>;
  /** What the reference says each prompt must give. */
  expected(prompts: readonly PromptRow[], tokensMax: number): (readonly number[])[];
  stop(): Promise<void>;
}

let subject: Subject | undefined;

function started(): Subject {
  if (subject === undefined) throw new Error('expected a started engine, came none');
  return subject;
}

const harness: SameTokensHarness = {
  async start({ backend, hash: text }) {
    const hash = manifestHash(text);
    const source = httpSeed({ baseUrl: location.origin });
    const { manifest } = await source.manifest(hash);
    const json = async (file: 'tokenizer' | 'tokenizerConfig' | 'generationConfig'): Promise<unknown> =>
      JSON.parse(new TextDecoder().decode(await source.file(manifest, file)));
    const { endTokens } = loadTokenizer({
      tokenizerJson: await json('tokenizer'),
      tokenizerConfig: await json('tokenizerConfig'),
      generationConfig: await json('generationConfig'),
    });
    subject = { engine: await createEngine({ backend }), source, hash, manifest, endTokens };
  },
  async alone(prompts, tokensMax) {
    const whole = await CutModel.load(started(), 1);
    const continuations: Continuation[] = [];
    for (const prompt of prompts) continuations.push(await whole.continueAlone(prompt, tokensMax));
    await whole.dispose();
    return continuations;
  },
  async cut(stages, prompts, options) {
    const model = await CutModel.load(started(), stages, options.ownLayers);
    const continuations = await model.continueAll(prompts, options);
    await model.dispose();
    return continuations;
  },
  expected: (prompts, tokensMax) => prompts.map((prompt) => expectedTokens(prompt, started().endTokens, tokensMax)),
  async stop() {
    await subject?.engine.dispose();
    subject = undefined;
  },
};

Object.assign(window, { harness });
