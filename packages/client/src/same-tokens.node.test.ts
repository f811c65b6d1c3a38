import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createEngine } from '@unfed/engine/node';
import { loadTokenizer } from '@unfed/model';
import { ensureDemoModel } from '@unfed/model/node';
import { folderSource } from '@unfed/swarm/node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CutModel, expectedTokens, type Continuation, type PromptRow, type Subject } from './same-tokens.suite.ts';

const tokensMax = 32;
const repository = join(import.meta.dirname, '../../..');
const demo = join(repository, 'models/demo');
const json = async (name: string): Promise<unknown> => JSON.parse(await readFile(join(demo, name), 'utf8'));

let subject: Subject;
let prompts: PromptRow[];
let alone: Continuation[];

beforeAll(async () => {
  const modelsDir = join(repository, 'build/models');
  const { hash } = await ensureDemoModel(modelsDir);
  const source = folderSource(modelsDir);
  const { manifest } = await source.manifest(hash);
  const { endTokens } = loadTokenizer({
    tokenizerJson: await json('tokenizer.json'),
    tokenizerConfig: await json('tokenizer_config.json'),
    generationConfig: await json('generation_config.json'),
  });
  prompts = (await json('prompts.json')) as PromptRow[];
  subject = { engine: await createEngine({ backend: 'auto' }), source, hash, manifest, endTokens };
  const whole = await CutModel.load(subject, 1);
  alone = [];
  for (const prompt of prompts) alone.push(await whole.continueAlone(prompt, tokensMax));
  await whole.dispose();
}, 120_000);

afterAll(() => subject.engine.dispose());

describe('the same tokens, however the layers are cut (onnxruntime-node)', () => {
  it('one process gives the reference tokens wherever the choice is clear', () => {
    prompts.forEach((prompt, i) => {
      if (prompt.smallestMargin < 0.05) return;
      expect(alone[i].tokens).toEqual(expectedTokens(prompt, subject.endTokens, tokensMax));
    });
  });

  it.each([1, 2, 4, 8])(
    '%i stages, float32 between them: every prompt the same tokens and bit-identical hidden states',
    async (stages) => {
      const cut = await CutModel.load(subject, stages);
      expect(await cut.continueAll(prompts, { tokensMax, precision: 'f32' })).toEqual(alone);
      await cut.dispose();
    },
  );

  it.each([1, 2, 4, 8])(
    '%i stages behind one to three forwarding hops of a circuit: the same tokens and bit-identical hidden states',
    async (stages) => {
      const cut = await CutModel.load(subject, stages);
      for (const forwarders of [1, 2, 3]) {
        const continued = await cut.continueAll([prompts[forwarders]], { tokensMax, precision: 'f32', forwarders });
        expect(continued).toEqual([alone[forwarders]]);
      }
      await cut.dispose();
    },
  );

  it.each([0, 1, 2, 3, 4, 5, 6, 7])(
    '%i own layers first and any number last: the same tokens and bit-identical hidden states',
    async (first) => {
      const [prompt] = prompts;
      const { layers } = subject.manifest.architecture;
      for (let last = 0; first + last < layers; last++) {
        // Two stages where more than one layer is left, so that all positions also pass from stage to stage.
        const cut = await CutModel.load(subject, Math.min(2, layers - first - last), { first, last });
        const came = await cut.continueAll([prompt], { tokensMax, precision: 'f32' });
        expect(came, `${last} last`).toEqual([alone[0]]);
        const circuit = { tokensMax, precision: 'f32', forwarders: 1 + (first % 3) } as const;
        expect(await cut.continueAll([prompt], circuit), `${last} last, by a circuit`).toEqual([alone[0]]);
        await cut.dispose();
      }
    },
  );

  it('float16 between 4 stages: the same tokens wherever the choice is clear', async () => {
    const cut = await CutModel.load(subject, 4);
    const halves = await cut.continueAll(prompts, { tokensMax, precision: 'f16' });
    prompts.forEach((prompt, i) => {
      if (prompt.smallestMargin >= 0.05) expect(halves[i].tokens).toEqual(alone[i].tokens);
    });
    await cut.dispose();
  });
});
