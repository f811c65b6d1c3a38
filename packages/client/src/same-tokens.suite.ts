/**
 * The main promise of a pipeline: however a model's layers are cut into stages, greedy answers are the same tokens, and on
 * one backend, in float32, the hidden states are the same bits. Run on Node's CPU by vitest, on wasm and WebGPU in real tabs.
 */
import type { Ends, Engine, SpanRunner } from '@unfed/engine';
import {
  generate,
  layersOfOthers,
  openCircuitRoute,
  openDirectRoute,
  openOwnLayers,
  planRoute,
  type OwnRunners,
  type Route,
} from '@unfed/inference';
import { createMemoryPool, pathOf } from '@unfed/inference/suites';
import { createSampler } from '@unfed/model';
import type { Manifest, ManifestHash, Precision, Span } from '@unfed/protocol';
import type { ShardSource } from '@unfed/swarm';
import { loadLocalParts, type LocalParts, type OwnLayers } from './own-layers.ts';

export interface PromptRow {
  readonly ids: readonly number[];
  /** The greedy continuation in one process of another implementation, to the end token or a limit. */
  readonly greedy4: readonly number[];
  readonly smallestMargin: number;
}

export interface Subject {
  readonly engine: Engine;
  readonly source: ShardSource;
  readonly hash: ManifestHash;
  readonly manifest: Manifest;
  readonly endTokens: ReadonlySet<number>;
}

export interface Continuation {
  readonly tokens: readonly number[];
  /** A checksum of every hidden state that reached the head, bit for bit. */
  readonly hiddenBits: string;
}

/** Equal cuts: [0, 8) by 4 are [0, 2), [2, 4), [4, 6), [6, 8). */
export function equalSpans({ first, last }: Span, stages: number): Span[] {
  const at = (i: number): number => first + Math.floor((i * (last - first)) / stages);
  return Array.from({ length: stages }, (_, i) => ({ first: at(i), last: at(i + 1) }));
}

/** The model cut into stages, each behind the stage protocol on the in-memory network; `undefined` for one process without any. */
export class CutModel {
  readonly #subject: Subject;
  readonly #runners: readonly SpanRunner[];
  readonly #ends: Ends;
  readonly #own: OwnRunners;

  private constructor(subject: Subject, runners: readonly SpanRunner[], { ends, own }: LocalParts) {
    this.#subject = subject;
    this.#runners = runners;
    this.#ends = ends;
    this.#own = own;
  }

  /** @param ownLayers that the client runs itself; the stages share the others */
  static async load(subject: Subject, stages: number, ownLayers: OwnLayers = { first: 0, last: 0 }): Promise<CutModel> {
    const { engine, source, manifest } = subject;
    const { architecture, quantization } = manifest;
    const read = (id: Parameters<ShardSource['shard']>[1]) => source.shard(manifest, id);
    const local = await loadLocalParts(engine, manifest, {
      own: ownLayers,
      read,
      signal: new AbortController().signal,
    });
    const runners: SpanRunner[] = [];
    for (const span of equalSpans(layersOfOthers(local.own, architecture.layers), stages)) {
      const spec = {
        architecture,
        quantization,
        span,
        positionsMax: architecture.contextLength,
        cacheBytesMax: 64 << 20,
      };
      runners.push(await engine.loadSpan(spec, read));
    }
    return new CutModel(subject, runners, local);
  }

  /**
   * @param prompts the rows to continue, each in a session of its own, one after the other over one set of links
   * @param options `forwarders`: the forwarding hops of each circuit; 0, the default, for the direct route
   */
  async continueAll(
    prompts: readonly PromptRow[],
    { tokensMax, precision, forwarders = 0 }: { tokensMax: number; precision: Precision; forwarders?: number },
  ): Promise<Continuation[]> {
    const { manifest, hash } = this.#subject;
    const { width, layers } = manifest.architecture;
    const pool = createMemoryPool(this.#runners, { width, manifest: hash, forwarders, seed: 7 });
    try {
      const directory = pool.network.directory(pool.client.identity.peer);
      while (directory.announcements().length < this.#runners.length + forwarders)
        await new Promise((resolve) => setTimeout(resolve));
      const announcements = directory.announcements();
      const span = layersOfOthers(this.#own, layers);
      const hops = planRoute({ announcements, manifest: hash, model: manifest.name, span });
      const all: Continuation[] = [];
      for (const prompt of prompts) {
        const positionsMax = Math.min(manifest.architecture.contextLength, prompt.ids.length + tokensMax);
        const options = { directory, manifest: hash, width, positionsMax, precision };
        const { links, circuits } = pool.client;
        const open = (): Promise<Route> =>
          forwarders === 0
            ? openDirectRoute({ ...options, links, hops })
            : openCircuitRoute({ ...options, links: circuits, path: { ...pathOf(pool), stages: hops } });
        const route = await openOwnLayers(this.#own, positionsMax, open);
        all.push(await this.#continue(route, prompt, tokensMax));
      }
      return all;
    } finally {
      pool.stop();
    }
  }

  /** The same prompt in one process: one span of all layers, no protocol between. */
  async continueAlone(prompt: PromptRow, tokensMax: number): Promise<Continuation> {
    const [runner] = this.#runners;
    const session = crypto.randomUUID().replaceAll('-', '') as Parameters<SpanRunner['open']>[0];
    const positionsMax = Math.min(this.#subject.manifest.architecture.contextLength, prompt.ids.length + tokensMax);
    await runner.open(session, positionsMax);
    const route: Route = {
      hops: [],
      positionsMax,
      alive: true,
      step: async (step) => new Float32Array(await runner.step({ session, ...step })),
      close: () => undefined,
    };
    try {
      return await this.#continue(route, prompt, tokensMax);
    } finally {
      await runner.close(session);
    }
  }

  async #continue(route: Route, prompt: PromptRow, tokensMax: number): Promise<Continuation> {
    const sampler = createSampler({});
    const hidden = new BitChecksum();
    const watched: Ends = {
      embed: (ids) => this.#ends.embed(ids),
      logits: (last) => {
        hidden.add(last);
        return this.#ends.logits(last);
      },
      dispose: () => this.#ends.dispose(),
    };
    const tokens: number[] = [];
    const options = {
      route,
      ends: watched,
      prompt: prompt.ids,
      held: [],
      width: this.#subject.manifest.architecture.width,
      endTokens: this.#subject.endTokens,
      tokensMax,
      sample: (logits: Float32Array, history: readonly number[]) => sampler.next(logits, history),
    };
    for await (const token of generate(options)) tokens.push(token);
    route.close();
    return { tokens, hiddenBits: hidden.text };
  }

  async dispose(): Promise<void> {
    for (const runner of [...this.#runners, this.#own.first, this.#own.last]) await runner?.dispose();
    await this.#ends.dispose();
  }
}

/** FNV-1a over the words of float32 arrays: equal for equal bits, and for little else. */
class BitChecksum {
  #hash = 0x811c9dc5;
  #words = 0;

  add(values: Float32Array): void {
    const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
    for (const word of words) this.#hash = Math.imul(this.#hash ^ word, 0x01000193);
    this.#words += words.length;
  }

  get text(): string {
    return `${this.#words}:${(this.#hash >>> 0).toString(16)}`;
  }
}

/** What the answer must be: the reference's tokens, without the end token, up to the limit. */
export function expectedTokens(
  prompt: PromptRow,
  endTokens: ReadonlySet<number>,
  tokensMax: number,
): readonly number[] {
  const end = prompt.greedy4.findIndex((token) => endTokens.has(token));
  return prompt.greedy4.slice(0, Math.min(tokensMax, end === -1 ? prompt.greedy4.length : end));
}
