/** The engine in Node: onnxruntime-node, in this process. */
import { chooseBackend } from './choose-backend.ts';
import type { Engine, EngineOptions } from './engine.ts';
import { BackendUnavailableError } from './errors.ts';
import { LocalEngine } from './local-engine.ts';
import { createCpuRuntime, type CpuOptions } from './runtime-cpu.node.ts';
import { selfTest } from './self-test.ts';

export type * from './engine.ts';
export * from './errors.ts';
export * as engineLimits from './limits.ts';

export type NodeEngineOptions = EngineOptions & CpuOptions;

/**
 * @throws BackendUnavailableError for a backend of pages, SelfTestFailedError, the signal's reason
 */
export async function createEngine({ backend, signal, onProgress, threads }: NodeEngineOptions): Promise<Engine> {
  if (backend !== 'auto' && backend !== 'node-cpu') {
    throw new BackendUnavailableError(backend, 'it runs in pages only; in Node choose node-cpu');
  }
  const start = async () => {
    const runtime = createCpuRuntime({ threads });
    await selfTest(runtime, signal);
    return runtime;
  };
  const { started, note } = await chooseBackend([{ backend: 'node-cpu', start }], { signal, onProgress });
  return new LocalEngine(started, note);
}
