/** A page's engine: its runtime lives in a worker. */
import { proxy, transfer, wrap, type Remote } from 'comlink';
import type { SessionId } from '@unfed/protocol';
import { Calls } from './calls.ts';
import type {
  Backend,
  Ends,
  Engine,
  LoadOptions,
  ShardReader,
  SpanReport,
  SpanRunner,
  SpanSpec,
  SpanStep,
} from './engine.ts';
import { EngineDisposedError, RuntimeFailedError } from './errors.ts';
import * as limits from './limits.ts';
import { RunnerWidths } from './runner-widths.ts';
import {
  carryTypedErrors,
  movable,
  type EndsSpec,
  type Handle,
  type LoadCallbacks,
  type WorkerApi,
  type WorkerStart,
} from './worker-api.ts';

carryTypedErrors();

/** A worker, and the end of every call to it when it dies. */
export class EngineProcess {
  readonly #worker: Worker;
  readonly #api: Remote<WorkerApi>;
  readonly #calls = new Calls();

  constructor() {
    this.#worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'unfed-engine' });
    this.#api = wrap<WorkerApi>(this.#worker);
    this.#worker.addEventListener('error', ({ message }) => {
      this.end(new RuntimeFailedError("running the engine's worker", message === '' ? 'it did not start' : message));
    });
  }

  /** @throws what the worker throws, and why it ended when it does before it answers */
  call<T>(ask: (api: Remote<WorkerApi>) => Promise<T>): Promise<T> {
    return this.#calls.until(ask(this.#api));
  }

  end(reason: Error): void {
    this.#calls.end(reason);
    this.#worker.terminate();
  }

  /** Starts a backend in a new worker. @throws BackendUnavailableError, SelfTestFailedError, the signal's reason */
  static async start(options: WorkerStart, signal?: AbortSignal): Promise<EngineProcess> {
    signal?.throwIfAborted();
    const process = new EngineProcess();
    const onAbort = (): void => process.end(signal?.reason as Error);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      await process.call((api) => api.start(options));
      return process;
    } catch (error) {
      process.end(new EngineDisposedError());
      throw error;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }
}

export class WorkerEngine implements Engine {
  readonly backend: Backend;
  readonly note: string;
  readonly #process: EngineProcess;
  readonly #widths = new RunnerWidths();

  constructor(process: EngineProcess, { backend, note }: { backend: Backend; note: string }) {
    this.backend = backend;
    this.note = note;
    this.#process = process;
  }

  async loadSpan(spec: SpanSpec, shards: ShardReader, options: LoadOptions = {}): Promise<SpanRunner> {
    const handle = await this.#load((api, callbacks) => api.loadSpan(spec, callbacks), shards, options);
    const runner = new WorkerSpanRunner(this.#process, handle, { backend: this.backend, span: spec.span });
    this.#widths.set(runner, spec.architecture.width);
    return runner;
  }

  async loadEnds(spec: EndsSpec, shards: ShardReader, options: LoadOptions = {}): Promise<Ends> {
    const handle = await this.#load((api, callbacks) => api.loadEnds(spec, callbacks), shards, options);
    return new WorkerEnds(this.#process, handle);
  }

  measure(runner: SpanRunner, signal?: AbortSignal): Promise<number> {
    return this.#widths.measure(runner, signal);
  }

  async dispose(): Promise<void> {
    const disposed = this.#process.call((api) => api.disposeAll()).catch(() => undefined);
    const tooLate = new Promise((resolve) => setTimeout(resolve, limits.disposeMsMax));
    await Promise.race([disposed, tooLate]);
    this.#process.end(new EngineDisposedError());
  }

  async #load(
    ask: (api: Remote<WorkerApi>, callbacks: LoadCallbacks) => Promise<Handle>,
    shards: ShardReader,
    { signal, onProgress }: LoadOptions,
  ): Promise<Handle> {
    let readerFailure: { readonly error: unknown } | null = null;
    const callbacks = proxy<LoadCallbacks>({
      async readShard(id) {
        try {
          signal?.throwIfAborted();
          return await shards(id);
        } catch (error) {
          readerFailure = { error };
          throw error;
        }
      },
      progress: (note) => onProgress?.(note),
    });
    let handle: Handle;
    try {
      handle = await this.#process.call((api) => ask(api, callbacks));
    } catch (error) {
      // What the reader threw keeps its class: it only passed through the worker.
      throwAgain(readerFailure);
      throw error;
    }
    if (signal?.aborted === true) await this.#process.call((api) => api.dispose(handle));
    signal?.throwIfAborted();
    return handle;
  }
}

function throwAgain(failure: { readonly error: unknown } | null): void {
  if (failure !== null) throw failure.error;
}

class WorkerSpanRunner implements SpanRunner {
  readonly backend;
  readonly span;
  readonly #process: EngineProcess;
  readonly #handle: Handle;

  constructor(process: EngineProcess, handle: Handle, { backend, span }: Pick<SpanRunner, 'backend' | 'span'>) {
    this.#process = process;
    this.#handle = handle;
    this.backend = backend;
    this.span = span;
  }

  open(session: SessionId, positionsMax: number): Promise<'opened' | 'busy'> {
    return this.#process.call((api) => api.open(this.#handle, session, positionsMax));
  }

  step(step: SpanStep): Promise<Float32Array> {
    const hidden = movable(step.hidden);
    return this.#process.call((api) => api.step(this.#handle, transfer({ ...step, hidden }, [hidden.buffer])));
  }

  close(session: SessionId): Promise<void> {
    return this.#process.call((api) => api.close(this.#handle, session));
  }

  report(): Promise<SpanReport> {
    return this.#process.call((api) => api.report(this.#handle));
  }

  dispose(): Promise<void> {
    return this.#process.call((api) => api.dispose(this.#handle));
  }
}

class WorkerEnds implements Ends {
  readonly #process: EngineProcess;
  readonly #handle: Handle;

  constructor(process: EngineProcess, handle: Handle) {
    this.#process = process;
    this.#handle = handle;
  }

  embed(ids: readonly number[]): Promise<Float32Array> {
    return this.#process.call((api) => api.embed(this.#handle, ids));
  }

  logits(hidden: Float32Array): Promise<Float32Array> {
    const moved = movable(hidden);
    return this.#process.call((api) => api.logits(this.#handle, transfer(moved, [moved.buffer])));
  }

  dispose(): Promise<void> {
    return this.#process.call((api) => api.dispose(this.#handle));
  }
}
