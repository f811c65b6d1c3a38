/** The engine's worker: a runtime behind comlink. Started by index.ts, once for every backend that is tried. */
import { expose, releaseProxy, transfer, type Remote } from 'comlink';
import type { SessionId } from '@unfed/protocol';
import type { Ends, LoadOptions, ShardReader, SpanRunner, SpanSpec, SpanStep } from './engine.ts';
import { loadEnds } from './ends.ts';
import { BackendUnavailableError, EngineDisposedError } from './errors.ts';
import { compareMs } from './measure.ts';
import type { Runtime } from './runtime.ts';
import { createWasmRuntime, loadWasmBuild } from './runtime-wasm.ts';
import { loadWebGpuBuild, WebGpuRuntime } from './runtime-webgpu.ts';
import { selfTest } from './self-test.ts';
import { loadSpan } from './span-runner.ts';
import { requestDevice } from './webgpu-device.ts';
import {
  carryTypedErrors,
  movable,
  type EndsSpec,
  type Handle,
  type LoadCallbacks,
  type WorkerApi,
  type WorkerStart,
} from './worker-api.ts';

async function startWebGpu({ subgroups, compare }: WorkerStart): Promise<Runtime> {
  const device = await requestDevice({ subgroups });
  const ort = await loadWebGpuBuild();
  const runtime = new WebGpuRuntime(ort, device);
  await selfTest(runtime);
  if (!compare) return runtime;
  const ms = await compareMs(runtime);
  const wasmMs = await compareMs(createWasmRuntime(ort, runtime.mutex));
  if (ms <= wasmMs) return runtime;
  const times = `${ms.toFixed(1)} ms a layer against ${wasmMs.toFixed(1)}`;
  throw new BackendUnavailableError('webgpu', `wasm is faster here than WebGPU: ${times}`);
}

async function startWasm(): Promise<Runtime> {
  const runtime = createWasmRuntime(await loadWasmBuild());
  await selfTest(runtime);
  return runtime;
}

class EngineWorker implements WorkerApi {
  readonly #runners = new Map<Handle, SpanRunner>();
  readonly #ends = new Map<Handle, Ends>();
  #runtime: Runtime | null = null;
  #handles = 0;

  async start(options: WorkerStart): Promise<void> {
    this.#runtime = options.backend === 'webgpu' ? await startWebGpu(options) : await startWasm();
  }

  async loadSpan(spec: SpanSpec, callbacks: LoadCallbacks): Promise<Handle> {
    const runner = await loadWith(callbacks, (options) => loadSpan(this.#started(), spec, options));
    this.#runners.set(++this.#handles, runner);
    return this.#handles;
  }

  async open(runner: Handle, session: SessionId, positionsMax: number): Promise<'opened' | 'busy'> {
    return find(this.#runners, runner).open(session, positionsMax);
  }

  async step(runner: Handle, step: SpanStep): Promise<Float32Array> {
    return moved(await find(this.#runners, runner).step(step));
  }

  async close(runner: Handle, session: SessionId): Promise<void> {
    return find(this.#runners, runner).close(session);
  }

  async report(runner: Handle) {
    return find(this.#runners, runner).report();
  }

  async loadEnds(spec: EndsSpec, callbacks: LoadCallbacks): Promise<Handle> {
    const ends = await loadWith(callbacks, (options) => loadEnds(this.#started(), spec, options));
    this.#ends.set(++this.#handles, ends);
    return this.#handles;
  }

  async embed(ends: Handle, ids: readonly number[]): Promise<Float32Array> {
    return moved(await find(this.#ends, ends).embed(ids));
  }

  async logits(ends: Handle, hidden: Float32Array): Promise<Float32Array> {
    return moved(await find(this.#ends, ends).logits(hidden));
  }

  async dispose(loaded: Handle): Promise<void> {
    const [runner, ends] = [this.#runners.get(loaded), this.#ends.get(loaded)];
    this.#runners.delete(loaded);
    this.#ends.delete(loaded);
    await runner?.dispose();
    await ends?.dispose();
  }

  async disposeAll(): Promise<void> {
    for (const handle of [...this.#runners.keys(), ...this.#ends.keys()]) await this.dispose(handle);
    await this.#runtime?.dispose();
    this.#runtime = null;
  }

  #started(): Runtime {
    if (this.#runtime === null) throw new EngineDisposedError();
    return this.#runtime;
  }
}

function find<T>(loaded: ReadonlyMap<Handle, T>, handle: Handle): T {
  const found = loaded.get(handle);
  if (found === undefined) throw new EngineDisposedError();
  return found;
}

/** Loads with the page's callbacks, and lets go of their port afterwards. */
async function loadWith<T>(
  callbacks: LoadCallbacks,
  load: (options: LoadOptions & { shards: ShardReader }) => Promise<T>,
): Promise<T> {
  try {
    return await load({
      shards: (id) => callbacks.readShard(id),
      onProgress: (note) => void callbacks.progress(note),
    });
  } finally {
    (callbacks as Remote<LoadCallbacks> & LoadCallbacks)[releaseProxy]();
  }
}

function moved(numbers: Float32Array): Float32Array {
  const result = movable(numbers);
  return transfer(result, [result.buffer]);
}

carryTypedErrors();
expose(new EngineWorker());
