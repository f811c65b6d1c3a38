/** The attacks of `leak` do what they say: a weak attacker would make the figures look better than they are. */
import { createEngine, type Engine } from '@unfed/engine/node';
import { demoModelFolder, ensureDemoModel } from '@unfed/model/node';
import { seededRandom } from '@unfed/testing';
import fc from 'fast-check';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LeakModel } from './leak-model.ts';
import { ProbeTraining, solve } from './leak-probe.ts';
import { search } from './leak-search.ts';
import { leakTexts, trainingTexts, unexpectedMessages } from './leak-texts.ts';

const seeds = fc.integer({ min: 1, max: 1_000_000 });

describe('the probe', () => {
  it('solves what is symmetric and positive definite', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 4 }), (seed, size, columns) => {
        const random = seededRandom(seed);
        const root = Float64Array.from({ length: size * size }, () => random() - 0.5);
        const a = new Float64Array(size * size);
        for (let i = 0; i < size; i++) {
          for (let j = 0; j < size; j++) {
            for (let k = 0; k < size; k++) a[i * size + j] += root[i * size + k] * root[j * size + k];
          }
          a[i * size + i] += 1;
        }
        const x = Float64Array.from({ length: size * columns }, () => random() - 0.5);
        const b = new Float64Array(size * columns);
        for (let i = 0; i < size; i++) {
          for (let j = 0; j < size; j++) {
            for (let c = 0; c < columns; c++) b[i * columns + c] += a[i * size + j] * x[j * columns + c];
          }
        }
        solve(a, b, size).forEach((value, i) => expect(value).toBeCloseTo(x[i], 8));
      }),
    );
  });

  it('finds the map where there is one, for rows that it never saw', () => {
    const random = seededRandom(3);
    const width = 8;
    const map = Array.from({ length: width * width }, () => random() - 0.5);
    const unitRow = (): Float32Array => {
      const row = Float32Array.from({ length: width }, () => random() - 0.5);
      const scale = Math.sqrt(width) / Math.hypot(...row);
      return row.map((value) => value * scale);
    };
    const mapped = (row: Float32Array) =>
      row.map((_, to) => row.reduce((sum, value, from) => sum + value * map[from * width + to], 0.25));
    const training = new ProbeTraining(width);
    for (let i = 0; i < 400; i++) {
      const row = unitRow();
      training.add(row, mapped(row));
    }
    const probe = training.fit();
    const row = unitRow();
    const expected = mapped(row);
    // However long the hidden state is: a norm comes before the next layer, too.
    probe(row.map((value) => 100 * value)).forEach((value, i) => expect(value).toBeCloseTo(expected[i], 2));
  });
});

describe('an attacker of the demo model', () => {
  let engine: Engine;
  let model: LeakModel;
  beforeAll(async () => {
    engine = await createEngine({ backend: 'node-cpu' });
    model = await LeakModel.open(engine, await ensureDemoModel(join(demoModelFolder, '../../build/models')));
  }, 120_000);
  afterAll(() => engine.dispose());

  it('finds every word by trying, at a cut in the middle, with no guess of what a hidden state looks like', async () => {
    const ids = model.tokenizer.encodeChat([{ role: 'user', content: 'What is the capital of France?' }]);
    const texts = await leakTexts(model, [ids]);
    const noIdea = new Float32Array(model.architecture.vocabulary);
    const { found, positions } = await search(model, texts, { cut: 4, likeness: () => noIdea });
    expect({ found, positions }).toEqual({ found: texts[0].words.length, positions: ids.length - 1 });
    expect(model.tokenizer.decode(texts[0].words.map((word) => ids[word]))).toBe('What is the capital of France?');
  });

  it('learns from no text that it is to read', async () => {
    const options = { start: [0, 1], tokens: 400 };
    const [first, ...others] = await trainingTexts(model, { ...options, apart: [] });
    const message = model.tokenizer.encode(unexpectedMessages[0]);
    const apart = await leakTexts(model, [first, message]);
    const training = await trainingTexts(model, { ...options, apart });
    expect(training).not.toContainEqual(first);
    expect(training[0]).toEqual(others[0]);
    expect(training.flat().length).toBeGreaterThanOrEqual(options.tokens);
  });
});
