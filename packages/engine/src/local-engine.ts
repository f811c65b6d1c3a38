/** An engine whose runtime lives where it is called: in Node's process, and inside a page's worker. */
import type { Engine, Ends, LoadOptions, ShardReader, SpanRunner, SpanSpec } from './engine.ts';
import { loadEnds } from './ends.ts';
import { EngineDisposedError } from './errors.ts';
import { RunnerWidths } from './runner-widths.ts';
import type { Runtime } from './runtime.ts';
import { loadSpan } from './span-runner.ts';

export class LocalEngine implements Engine {
  readonly backend;
  readonly note: string;
  readonly #runtime: Runtime;
  readonly #widths = new RunnerWidths();
  readonly #loaded = new Set<SpanRunner | Ends>();
  #disposed = false;

  constructor(runtime: Runtime, note: string) {
    this.backend = runtime.backend;
    this.note = note;
    this.#runtime = runtime;
  }

  async loadSpan(spec: SpanSpec, shards: ShardReader, options: LoadOptions = {}): Promise<SpanRunner> {
    this.#checkAlive();
    const onDisposed = (): void => void this.#loaded.delete(runner);
    const runner: SpanRunner = await loadSpan(this.#runtime, spec, { shards, onDisposed, ...options });
    this.#widths.set(runner, spec.architecture.width);
    this.#loaded.add(runner);
    return runner;
  }

  async loadEnds(
    spec: Parameters<Engine['loadEnds']>[0],
    shards: ShardReader,
    options: LoadOptions = {},
  ): Promise<Ends> {
    this.#checkAlive();
    const onDisposed = (): void => void this.#loaded.delete(ends);
    const ends: Ends = await loadEnds(this.#runtime, spec, { shards, onDisposed, ...options });
    this.#loaded.add(ends);
    return ends;
  }

  measure(runner: SpanRunner, signal?: AbortSignal): Promise<number> {
    return this.#widths.measure(runner, signal);
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await Promise.all([...this.#loaded].map((loaded) => loaded.dispose()));
    await this.#runtime.dispose();
  }

  #checkAlive(): void {
    if (this.#disposed) throw new EngineDisposedError();
  }
}
