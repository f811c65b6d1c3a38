/**
 * The architecture once more, plainly: float64, loops, nothing padded, nothing cached, weights by their Hugging Face
 * names. It shares no code with the graphs that it judges.
 */
import type { Architecture } from '@unfed/protocol';

/** Row-major numbers of a tensor, by its Hugging Face name. */
export type ReferenceWeights = (name: string) => ArrayLike<number>;

export interface ReferenceResult {
  /** `[T × width]` before layer 0, then after each layer: layers + 1 of them. */
  readonly hidden: readonly Float64Array[];
  /** `[T × vocabulary]` */
  readonly logits: Float64Array;
}

/** @param ids tokens at positions 0, 1, … */
export function referenceForward(
  architecture: Architecture,
  weights: ReferenceWeights,
  ids: readonly number[],
): ReferenceResult {
  const { width, vocabulary, layers, normEpsilon } = architecture;
  const embedding = weights('model.embed_tokens.weight');
  let states = ids.map((id) => Array.from({ length: width }, (_, i) => at(embedding, id * width + i)));
  const hidden = [flat(states)];
  for (let layer = 0; layer < layers; layer++) {
    states = referenceLayer(architecture, (name) => weights(`model.layers.${layer}.${name}`), states);
    hidden.push(flat(states));
  }
  const head = architecture.tiedEmbeddings ? embedding : weights('lm_head.weight');
  const norm = weights('model.norm.weight');
  const logits = states.map((state) => product(head, rmsNorm(state, norm, normEpsilon), vocabulary));
  return { hidden, logits: flat(logits) };
}

function referenceLayer(architecture: Architecture, weights: ReferenceWeights, states: number[][]): number[][] {
  const { width, ffnWidth, normEpsilon } = architecture;
  const normed = states.map((state) => rmsNorm(state, weights('input_layernorm.weight'), normEpsilon));
  const attended = attention(architecture, weights, normed);
  return states.map((state, t) => {
    const middle = state.map((value, i) => value + at(attended[t] ?? [], i));
    const input = rmsNorm(middle, weights('post_attention_layernorm.weight'), normEpsilon);
    const gate = product(weights('mlp.gate_proj.weight'), input, ffnWidth);
    const up = product(weights('mlp.up_proj.weight'), input, ffnWidth);
    const inner = gate.map((value, i) => (value / (1 + Math.exp(-value))) * at(up, i));
    const down = product(weights('mlp.down_proj.weight'), inner, width);
    return middle.map((value, i) => value + at(down, i));
  });
}

function attention(architecture: Architecture, weights: ReferenceWeights, states: number[][]): number[][] {
  const { heads, kvHeads, headSize, width, slidingWindow } = architecture;
  const queries = states.map((state, t) => projectedHeads(architecture, weights, { part: 'q', state, position: t }));
  const keys = states.map((state, t) => projectedHeads(architecture, weights, { part: 'k', state, position: t }));
  const values = states.map((state, t) => projectedHeads(architecture, weights, { part: 'v', state, position: t }));
  return states.map((_, t) => {
    const earliest = slidingWindow === null ? 0 : Math.max(0, t - slidingWindow + 1);
    const joined: number[] = [];
    for (let head = 0; head < heads; head++) {
      const kvHead = Math.floor((head * kvHeads) / heads);
      const scores: number[] = [];
      for (let s = earliest; s <= t; s++) {
        scores.push(dot(queries[t]?.[head] ?? [], keys[s]?.[kvHead] ?? []) / Math.sqrt(headSize));
      }
      const shares = softmax(scores);
      for (let i = 0; i < headSize; i++) {
        joined.push(shares.reduce((sum, share, s) => sum + share * at(values[earliest + s]?.[kvHead] ?? [], i), 0));
      }
    }
    return withBias(product(weights('self_attn.o_proj.weight'), joined, width), architecture.outputBias, () =>
      weights('self_attn.o_proj.bias'),
    );
  });
}

/** One position's heads of q, k or v: projected, biased, normed and rotated as the architecture says. */
function projectedHeads(
  architecture: Architecture,
  weights: ReferenceWeights,
  { part, state, position }: { part: 'q' | 'k' | 'v'; state: number[]; position: number },
): number[][] {
  const { headSize, normEpsilon } = architecture;
  const count = part === 'q' ? architecture.heads : architecture.kvHeads;
  const name = `self_attn.${part}_proj`;
  const projected = withBias(product(weights(`${name}.weight`), state, count * headSize), architecture.qkvBias, () =>
    weights(`${name}.bias`),
  );
  return Array.from({ length: count }, (_, head) => {
    const values = projected.slice(head * headSize, (head + 1) * headSize);
    if (part === 'v') return values;
    const normed = architecture.qkNorm
      ? rmsNorm(values, weights(`self_attn.${part}_norm.weight`), normEpsilon)
      : values;
    return rotated(architecture, normed, position);
  });
}

/** Pairs (i, i + half) turned by position × frequency, as Hugging Face's `rotate_half` does. */
function rotated(architecture: Architecture, head: number[], position: number): number[] {
  const half = head.length / 2;
  return head.map((value, i) => {
    const angle = position * frequency(architecture, i % half);
    const other = i < half ? -at(head, i + half) : at(head, i - half);
    return value * Math.cos(angle) + other * Math.sin(angle);
  });
}

function frequency({ ropeTheta, ropeScaling, headSize }: Architecture, pair: number): number {
  const plain = 1 / ropeTheta ** ((2 * pair) / headSize);
  if (ropeScaling === null) return plain;
  if (ropeScaling.kind === 'linear') return plain / ropeScaling.factor;
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContextLength } = ropeScaling;
  const wavelength = (2 * Math.PI) / plain;
  if (wavelength > originalContextLength / low) return plain / factor;
  if (wavelength < originalContextLength / high) return plain;
  const smooth = (originalContextLength / wavelength - low) / (high - low);
  return (1 - smooth) * (plain / factor) + smooth * plain;
}

function rmsNorm(values: readonly number[], weight: ArrayLike<number>, epsilon: number): number[] {
  const mean = values.reduce((sum, value) => sum + value * value, 0) / values.length;
  return values.map((value, i) => (value / Math.sqrt(mean + epsilon)) * at(weight, i));
}

function softmax(scores: readonly number[]): number[] {
  const highest = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - highest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** A `[rows, values.length]` matrix times a vector. */
function product(matrix: ArrayLike<number>, values: readonly number[], rows: number): number[] {
  return Array.from({ length: rows }, (_, row) => {
    let sum = 0;
    const start = row * values.length;
    for (let i = 0; i < values.length; i++) sum += at(matrix, start + i) * at(values, i);
    return sum;
  });
}

function withBias(values: number[], biased: boolean, bias: () => ArrayLike<number>): number[] {
  if (!biased) return values;
  const added = bias();
  return values.map((value, i) => value + at(added, i));
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * at(b, i), 0);
}

function at(values: ArrayLike<number>, i: number): number {
  const value = values[i];
  if (value === undefined) throw new RangeError(`a tensor has no number ${i}, only ${values.length}`);
  return value;
}

function flat(rows: readonly (readonly number[])[]): Float64Array {
  return Float64Array.from(rows.flat());
}
