/** A model as its attacker has it: the weights that stages serve, as layers, as any run of layers, and as its ends. */
import { dirname } from 'node:path';
import type { Ends, Engine, SpanRunner } from '@unfed/engine/node';
import { loadTokenizer, type ChatTokenizer } from '@unfed/model';
import type { ModelFolder } from '@unfed/model/node';
import { randomSessionId, type Architecture, type ManifestFile, type ShardId, type Span } from '@unfed/protocol';
import { folderSource } from '@unfed/swarm/node';

/** A run of layers with one session open. */
export interface OpenSpan {
  /**
   * Forgets what lay from `position` on, then runs.
   * @param hidden `[tokens, width]`, not changed. @returns the same, behind the span
   */
  step(position: number, hidden: Float32Array): Promise<Float32Array>;
  close(): Promise<void>;
}

interface Parts {
  readonly architecture: Architecture;
  readonly tokenizer: ChatTokenizer;
  readonly ends: Ends;
  readonly embedding: Float32Array;
  readonly load: (span: Span) => Promise<SpanRunner>;
}

export class LeakModel {
  readonly architecture: Architecture;
  readonly tokenizer: ChatTokenizer;
  /** `[vocabulary, width]`. */
  readonly embedding: Float32Array;
  readonly #ends: Ends;
  readonly #load: (span: Span) => Promise<SpanRunner>;
  readonly #layers: OpenSpan[] = [];

  private constructor({ architecture, tokenizer, embedding, ends, load }: Parts) {
    this.architecture = architecture;
    this.tokenizer = tokenizer;
    this.embedding = embedding;
    this.#ends = ends;
    this.#load = load;
  }

  static async open(engine: Engine, { folder, manifest }: ModelFolder): Promise<LeakModel> {
    const source = folderSource(dirname(folder));
    const { architecture, quantization } = manifest;
    const read = (id: ShardId): Promise<Uint8Array> => source.shard(manifest, id);
    const json = async (file: ManifestFile): Promise<unknown> =>
      JSON.parse(new TextDecoder().decode(await source.file(manifest, file)));
    const tokenizer = loadTokenizer({
      tokenizerJson: await json('tokenizer'),
      tokenizerConfig: await json('tokenizerConfig'),
    });
    const ends = await engine.loadEnds({ architecture, quantization }, read);
    const embedding = await ends.embed(Array.from({ length: architecture.vocabulary }, (_, id) => id));
    const load = (span: Span): Promise<SpanRunner> => {
      const spec = { architecture, quantization, span, positionsMax: architecture.contextLength };
      return engine.loadSpan({ ...spec, cacheBytesMax: 64 << 20 }, read);
    };
    const model = new LeakModel({ architecture, tokenizer, embedding, ends, load });
    for (let first = 0; first < architecture.layers; first++) {
      model.#layers.push(await model.openSpan({ first, last: first + 1 }));
    }
    return model;
  }

  /**
   * What passes each cut of the model while it reads these tokens: cut c lies before layer c, the last behind them all.
   * @returns by cut, `[tokens, width]`
   */
  async hiddenAtCuts(ids: readonly number[]): Promise<Float32Array[]> {
    const cuts = [this.embed(ids)];
    for (const layer of this.#layers) cuts.push(await layer.step(0, cuts[cuts.length - 1]));
    return cuts;
  }

  /** A span without layers gives back what it is given. */
  async openSpan(span: Span): Promise<OpenSpan> {
    if (span.first === span.last) return { step: async (_, hidden) => hidden, close: async () => undefined };
    const runner = await this.#load(span);
    const session = randomSessionId();
    const { contextLength, width } = this.architecture;
    await runner.open(session, contextLength);
    return {
      step: (position, hidden) =>
        runner.step({ session, position, tokens: hidden.length / width, hidden: hidden.slice(), wants: 'all' }),
      close: () => runner.dispose(),
    };
  }

  /** @returns `[ids.length, width]` */
  embed(ids: readonly number[]): Float32Array {
    const rows = new Float32Array(ids.length * this.architecture.width);
    ids.forEach((id, i) => rows.set(this.rowOf(this.embedding, id), i * this.architecture.width));
    return rows;
  }

  /** Final norm and head. @param hidden one row. @returns `[vocabulary]` */
  logits(hidden: Float32Array): Promise<Float32Array> {
    return this.#ends.logits(hidden.slice());
  }

  /** A row of `[rows, width]`, as a view; −1 is the last. */
  rowOf(hidden: Float32Array, row: number): Float32Array {
    const { width } = this.architecture;
    const start = row < 0 ? hidden.length + row * width : row * width;
    return hidden.subarray(start, start + width);
  }
}
