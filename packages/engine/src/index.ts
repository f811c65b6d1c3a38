/** The engine in a page: a worker with onnxruntime-web, fetched when an engine is asked for and not before. */
import { chooseBackend, type Attempt } from './choose-backend.ts';
import type { Backend, Engine, EngineOptions } from './engine.ts';
import { BackendUnavailableError } from './errors.ts';
import { probeAdapter } from './webgpu-device.ts';
import { EngineProcess, WorkerEngine } from './worker-engine.ts';

export type * from './engine.ts';
export * from './errors.ts';
export * as engineLimits from './limits.ts';

/**
 * @throws BackendUnavailableError for a forced backend that is not there, SelfTestFailedError when none computes right,
 * the signal's reason
 */
export async function createEngine({ backend, signal, onProgress }: EngineOptions): Promise<Engine> {
  const { attempts, reason } = await attemptsFor(backend, signal);
  const { started, note } = await chooseBackend(attempts, { signal, onProgress });
  const notes = [reason, note].filter((text) => text !== '').join('; ');
  return new WorkerEngine(started.process, { backend: started.backend, note: notes });
}

interface Started {
  readonly backend: Backend;
  readonly process: EngineProcess;
}

async function attemptsFor(
  wanted: EngineOptions['backend'],
  signal?: AbortSignal,
): Promise<{ attempts: Attempt<Started>[]; reason: string }> {
  const attempt = (backend: 'webgpu' | 'wasm', options: { subgroups?: boolean; compare?: boolean } = {}) => ({
    backend,
    async start(): Promise<Started> {
      const { subgroups = false, compare = false } = options;
      return { backend, process: await EngineProcess.start({ backend, subgroups, compare }, signal) };
    },
  });
  if (wanted === 'node-cpu') throw new BackendUnavailableError(wanted, 'it runs in Node only; choose webgpu or wasm');
  if (wanted === 'wasm') return { attempts: [attempt('wasm')], reason: '' };
  const adapter = await probeAdapter();
  const compare = wanted === 'auto';
  if (adapter.kind === 'gpu') {
    const subgroups = adapter.subgroups ? [attempt('webgpu', { subgroups: true, compare })] : [];
    const last = compare ? [attempt('wasm')] : [];
    return { attempts: [...subgroups, attempt('webgpu', { compare }), ...last], reason: '' };
  }
  if (wanted === 'webgpu' && adapter.kind === 'none') throw new BackendUnavailableError(wanted, adapter.reason);
  if (wanted === 'webgpu') return { attempts: [attempt('webgpu')], reason: '' };
  const reason = adapter.kind === 'none' ? adapter.reason : 'only a software GPU here, and wasm is faster';
  return { attempts: [attempt('wasm')], reason };
}
