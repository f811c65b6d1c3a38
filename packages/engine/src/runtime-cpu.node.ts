/**
 * The CPU in Node, by onnxruntime-node. `run` computes on the calling thread and so blocks the event loop: a decode step
 * of 6 layers of Qwen2.5-0.5B's size for some 8 ms, which is why no worker stands between. A prefill of 512 positions
 * blocks for seconds at that size: callers cut prompts into chunks.
 */
import * as ort from 'onnxruntime-node';
import { KvInPlace } from './kv-memory.ts';
import { Mutex } from './mutex.ts';
import { rowsOnCpu, type Graph, type Runtime } from './runtime.ts';

export interface CpuOptions {
  /** Threads of one run. Several peers share a machine: default 1, and none ever spins. */
  readonly threads?: number;
}

export function createCpuRuntime({ threads = 1 }: CpuOptions = {}): Runtime {
  ort.env.logLevel = 'error';
  return {
    backend: 'node-cpu',
    mutex: new Mutex(),
    Tensor: ort.Tensor,
    lost: null,
    onLost() {
      // A CPU stays.
    },
    async createSession({ model, externalData }: Graph) {
      return ort.InferenceSession.create(model, {
        executionProviders: ['cpu'],
        externalData,
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
        extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
      });
    },
    allocateKv: async (shape, positionsMax) => new KvInPlace(shape, positionsMax, ort.Tensor),
    readRows: async (tensor, rows, width) => rowsOnCpu(tensor, rows, width),
    async dispose() {
      // Sessions belong to their runners and ends, which release them.
    },
  };
}
