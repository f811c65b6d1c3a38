/** The ends of a model on one runtime: embedding rows in plain JS, final norm and head through the runtime. */
import { embeddingRows, headGraph } from '@unfed/model';
import { embeddingShard, InvalidValueError, type Architecture } from '@unfed/protocol';
import type { Ends, LoadOptions, Quantization, ShardReader } from './engine.ts';
import { EngineDisposedError } from './errors.ts';
import type { InferenceSession, Runtime } from './runtime.ts';
import { asUnfed, createSession, readGraph } from './span-runner.ts';

interface EndsSpec {
  readonly architecture: Architecture;
  readonly quantization: Quantization;
}

/**
 * With tied embeddings the rows and the head share the embedding shard's bytes: they are read once.
 * @throws ShardSizeError, RuntimeFailedError, GraphTooLargeError, the signal's reason
 */
export async function loadEnds(
  runtime: Runtime,
  spec: EndsSpec,
  { shards, onDisposed, ...options }: LoadOptions & { shards: ShardReader; onDisposed?: () => void },
): Promise<OrtEnds> {
  const description = headGraph(spec.architecture, spec.quantization);
  const embeddingFile = { path: embeddingShard, shard: embeddingShard };
  const [{ data: embedding }] = (
    await readGraph({ model: description.model, externalFiles: [embeddingFile] }, spec, { shards, ...options })
  ).externalData;
  const files = await readGraph(description, spec, {
    shards: async (id) => (id === embeddingShard ? embedding : shards(id)),
    ...options,
  });
  const doing = `loading the head on ${runtime.backend}`;
  options.onProgress?.(doing);
  const graph = { ...files, keptOutputs: description.outputs };
  const session = await createSession(runtime, graph, { doing, signal: options.signal });
  return new OrtEnds({ runtime, spec, session, embedding, onDisposed });
}

interface OrtEndsInit {
  readonly runtime: Runtime;
  readonly spec: EndsSpec;
  readonly session: InferenceSession;
  readonly embedding: Uint8Array;
  readonly onDisposed: (() => void) | undefined;
}

export class OrtEnds implements Ends {
  readonly #runtime: Runtime;
  readonly #spec: EndsSpec;
  readonly #session: InferenceSession;
  readonly #onDisposed: (() => void) | undefined;
  #embedding: Uint8Array | null;

  constructor({ runtime, spec, session, embedding, onDisposed }: OrtEndsInit) {
    this.#runtime = runtime;
    this.#spec = spec;
    this.#session = session;
    this.#embedding = embedding;
    this.#onDisposed = onDisposed;
  }

  async embed(ids: readonly number[]): Promise<Float32Array> {
    if (this.#embedding === null) throw new EngineDisposedError();
    return embeddingRows(this.#spec, this.#embedding, ids);
  }

  async logits(hidden: Float32Array): Promise<Float32Array> {
    const { width, vocabulary } = this.#spec.architecture;
    if (hidden.length !== width) {
      throw new InvalidValueError('hidden states', `${width} numbers, one row`, String(hidden.length));
    }
    return this.#runtime.mutex.run(async () => {
      if (this.#embedding === null) throw new EngineDisposedError();
      if (this.#runtime.lost !== null) throw this.#runtime.lost;
      try {
        const input = new this.#runtime.Tensor('float32', hidden, [1, width]);
        const results = await this.#session.run({ hidden: input });
        return await this.#runtime.readRows(results.logits, 1, vocabulary);
      } catch (error) {
        throw this.#runtime.lost ?? asUnfed(`running the head on ${this.#runtime.backend}`, error);
      }
    });
  }

  async dispose(): Promise<void> {
    if (this.#embedding === null) return;
    this.#embedding = null;
    this.#onDisposed?.();
    await this.#runtime.mutex.run(() => this.#session.release());
  }
}
