/**
 * A linear probe: ridge regression (Hoerl and Kennard, 1970) from hidden states, scaled to one length, to the embeddings
 * of their own tokens. Its guess is the token whose embedding points most nearly that way, so that it also finds tokens
 * that its training text lacks.
 */

/** The penalty, as a part of the inputs' mean square. */
const ridge = 1e-4;

export class ProbeTraining {
  readonly #width: number;
  readonly #inputs: number;
  /** Sums over all rows of input × input, its lower half, and of input × target. */
  readonly #gram: Float64Array;
  readonly #moments: Float64Array;

  constructor(width: number) {
    this.#width = width;
    this.#inputs = width + 1;
    this.#gram = new Float64Array(this.#inputs ** 2);
    this.#moments = new Float64Array(this.#inputs * width);
  }

  /** @param hidden `[width]`. @param embedding of its token, `[width]` */
  add(hidden: Float32Array, embedding: Float32Array): void {
    const input = inputOf(hidden);
    for (let i = 0; i < this.#inputs; i++) {
      const value = input[i];
      const gram = i * this.#inputs;
      for (let j = 0; j <= i; j++) this.#gram[gram + j] += value * input[j];
      const moment = i * this.#width;
      for (let j = 0; j < this.#width; j++) this.#moments[moment + j] += value * embedding[j];
    }
  }

  /** @returns hidden state to the embedding that the probe expects, `[width]` each */
  fit(): (hidden: Float32Array) => Float32Array {
    const [inputs, width] = [this.#inputs, this.#width];
    const gram = this.#gram.slice();
    let trace = 0;
    for (let i = 0; i < inputs; i++) trace += gram[i * inputs + i];
    for (let i = 0; i < inputs; i++) gram[i * inputs + i] += (ridge * trace) / inputs;
    const weights = solve(gram, this.#moments.slice(), inputs);
    return (hidden) => {
      const output = new Float32Array(width);
      inputOf(hidden).forEach((value, i) => {
        for (let j = 0; j < width; j++) output[j] += value * weights[i * width + j];
      });
      return output;
    };
  }
}

/** Scaled to a mean square of 1, as the next layer's norm does, and a 1 behind it for the offset. */
function inputOf(hidden: Float32Array): Float64Array {
  let squares = 0;
  for (const value of hidden) squares += value * value;
  const scale = Math.sqrt(hidden.length / squares);
  const input = new Float64Array(hidden.length + 1).fill(1);
  hidden.forEach((value, i) => (input[i] = value * scale));
  return input;
}

/**
 * Solves A X = B for a symmetric, positive definite A, by Cholesky's decomposition. Both are overwritten.
 * @param a `[size, size]`, its lower half. @param b `[size, columns]`. @returns X
 */
export function solve(a: Float64Array, b: Float64Array, size: number): Float64Array {
  const columns = b.length / size;
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * size + j];
      for (let k = 0; k < j; k++) sum -= a[i * size + k] * a[j * size + k];
      a[i * size + j] = i === j ? Math.sqrt(sum) : sum / a[j * size + j];
    }
  }
  const subtract = (to: number, from: number, factor: number): void => {
    for (let c = 0; c < columns; c++) b[to * columns + c] -= factor * b[from * columns + c];
  };
  const divide = (row: number): void => {
    for (let c = 0; c < columns; c++) b[row * columns + c] /= a[row * size + row];
  };
  for (let i = 0; i < size; i++) {
    for (let k = 0; k < i; k++) subtract(i, k, a[i * size + k]);
    divide(i);
  }
  for (let i = size - 1; i >= 0; i--) {
    for (let k = i + 1; k < size; k++) subtract(i, k, a[k * size + i]);
    divide(i);
  }
  return b;
}
