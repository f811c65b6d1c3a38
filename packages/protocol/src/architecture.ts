/** What a model's config says that its graphs, shards and caches follow from. Travels inside the manifest. */
import * as v from 'valibot';
import { integer } from './cbor.ts';
import * as limits from './limits.ts';

const positive = v.pipe(v.number(), v.finite(), v.gtValue(0));

/** Rotary frequencies stretched for longer contexts; none when absent. `llama3` is Llama 3.1's piecewise rule. */
export const ropeScalingSchema = v.variant('kind', [
  v.strictObject({ kind: v.literal('linear'), factor: positive }),
  v.strictObject({
    kind: v.literal('llama3'),
    factor: positive,
    lowFrequencyFactor: positive,
    highFrequencyFactor: positive,
    originalContextLength: integer(1, limits.contextLengthMax),
  }),
]);

export const architectureSchema = v.pipe(
  v.strictObject({
    family: v.picklist(['llama', 'mistral', 'qwen2', 'qwen3']),
    layers: integer(1, limits.layersMax),
    /** Width of the hidden states that travel between stages. */
    width: integer(1, limits.widthMax),
    ffnWidth: integer(1, limits.ffnWidthMax),
    heads: integer(1, limits.headsMax),
    kvHeads: integer(1, limits.headsMax),
    headSize: integer(2, limits.headSizeMax),
    vocabulary: integer(1, limits.vocabularyMax),
    contextLength: integer(1, limits.contextLengthMax),
    normEpsilon: positive,
    ropeTheta: positive,
    ropeScaling: v.nullable(ropeScalingSchema),
    /** Positions that a layer may look back to; null for all. */
    slidingWindow: v.nullable(integer(1, limits.contextLengthMax)),
    /** Biases on the q, k and v projections (Qwen2). */
    qkvBias: v.boolean(),
    /** Bias on the attention's output projection. */
    outputBias: v.boolean(),
    /** RMS norm of every q and k head before rotation (Qwen3). */
    qkNorm: v.boolean(),
    /** The head is the embedding's own matrix. */
    tiedEmbeddings: v.boolean(),
  }),
  v.check((a) => a.heads % a.kvHeads === 0, 'heads a multiple of kvHeads'),
  v.check((a) => a.headSize % 2 === 0, 'an even headSize'),
);

export type RopeScaling = v.InferOutput<typeof ropeScalingSchema>;
export type Architecture = v.InferOutput<typeof architectureSchema>;
