/**
 * Keys and values of one session, for every layer of a span, in the CPU's memory.
 * Two ways: in place, where the backend writes into the buffer it reads (onnxruntime-node), and growing, where every
 * run copies its inputs anyway (wasm): then a small cache should not be copied at its full length.
 */
import type { LayerTensorNames } from '@unfed/model';
import type { InferenceSession, Tensor, TensorConstructor } from 'onnxruntime-web';

export type Tensors = Record<string, Tensor>;

export interface KvShape {
  /** Names of the inputs and outputs that are the cache, layer by layer. */
  readonly caches: readonly LayerTensorNames[];
  readonly kvHeads: number;
  /** As the cache holds them: padded to the kernels' multiple. */
  readonly headSize: number;
}

/** One session's cache, and the inputs and outputs that its steps reuse. */
export interface KvMemory {
  /** Inputs by name; the runner adds `hidden` and the lengths. */
  readonly feeds: Tensors;
  readonly fetches: Record<string, Tensor | null>;
  /** Before a run: positions from here on are forgotten. */
  truncate(positions: number): void;
  /** After a run: takes the results that are the cache's. */
  keep(results: InferenceSession.ReturnType): void;
  free(): void;
}

export function kvBytesPerPosition({ caches, kvHeads, headSize }: KvShape): number {
  return caches.length * 2 * kvHeads * headSize * Float32Array.BYTES_PER_ELEMENT;
}

/** Inputs and the outputs that become them, keys and values of every layer. */
export function kvNames({ caches }: KvShape): { past: string; present: string }[] {
  return caches.flatMap(({ pastKey, pastValue, presentKey, presentValue }) => [
    { past: pastKey, present: presentKey },
    { past: pastValue, present: presentValue },
  ]);
}

/** One buffer of full length as past and as present: GroupQueryAttention appends to it in place. Truncating is free. */
export class KvInPlace implements KvMemory {
  readonly feeds: Tensors = {};
  readonly fetches: Record<string, Tensor | null> = { hidden_out: null };

  constructor(shape: KvShape, positionsMax: number, TensorOf: TensorConstructor) {
    const dims = [1, shape.kvHeads, positionsMax, shape.headSize];
    for (const { past, present } of kvNames(shape)) {
      const buffer = new Float32Array(shape.kvHeads * positionsMax * shape.headSize);
      const tensor = new TensorOf('float32', buffer, dims);
      this.feeds[past] = tensor;
      this.fetches[present] = tensor;
    }
  }

  truncate(): void {
    // The step's lengths say how much of the buffer counts.
  }

  keep(): void {
    // The results are the buffers themselves.
  }

  free(): void {
    for (const name of Object.keys(this.feeds)) delete this.feeds[name];
    for (const name of Object.keys(this.fetches)) delete this.fetches[name];
  }
}

/** Each run's present is the next run's past. */
export class KvGrowing implements KvMemory {
  readonly feeds: Tensors = {};
  readonly fetches: Record<string, Tensor | null> = { hidden_out: null };
  readonly #names: readonly { past: string; present: string }[];
  readonly #shape: KvShape;
  readonly #TensorOf: TensorConstructor;
  #positions = 0;

  constructor(shape: KvShape, TensorOf: TensorConstructor) {
    this.#shape = shape;
    this.#TensorOf = TensorOf;
    this.#names = kvNames(shape);
    for (const { past, present } of this.#names) {
      this.feeds[past] = new TensorOf('float32', new Float32Array(0), [1, shape.kvHeads, 0, shape.headSize]);
      this.fetches[present] = null;
    }
  }

  truncate(positions: number): void {
    if (positions === this.#positions) return;
    const { kvHeads, headSize } = this.#shape;
    const [kept, held] = [positions * headSize, this.#positions * headSize];
    for (const { past } of this.#names) {
      const old = this.feeds[past].data as Float32Array;
      const cut = new Float32Array(kvHeads * kept);
      for (let head = 0; head < kvHeads; head++) {
        cut.set(old.subarray(head * held, head * held + kept), head * kept);
      }
      this.feeds[past] = new this.#TensorOf('float32', cut, [1, kvHeads, positions, headSize]);
    }
    this.#positions = positions;
  }

  keep(results: InferenceSession.ReturnType): void {
    for (const { past, present } of this.#names) this.feeds[past] = results[present];
    this.#positions = this.feeds[this.#names[0].past].dims[2];
  }

  free(): void {
    for (const name of Object.keys(this.feeds)) delete this.feeds[name];
  }
}
