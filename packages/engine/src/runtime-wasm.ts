/**
 * wasm, in a worker, by onnxruntime-web. As many threads as onnxruntime chooses (half the cores, four at most) where the
 * page is cross-origin isolated, else one.
 */
import type { InferenceSession, TensorConstructor } from 'onnxruntime-web';
import { KvGrowing } from './kv-memory.ts';
import { Mutex } from './mutex.ts';
import { rowsOnCpu, type Graph, type Runtime } from './runtime.ts';

/** What of onnxruntime-web a runtime uses: either of its builds. */
export interface OrtWeb {
  readonly InferenceSession: typeof InferenceSession;
  readonly Tensor: TensorConstructor;
}

/** The smaller build, without WebGPU: 3.7 MB gzipped against 6.6. */
export async function loadWasmBuild(): Promise<OrtWeb> {
  const [ort, { default: wasm }, { default: mjs }] = await Promise.all([
    import('onnxruntime-web/wasm'),
    import('onnxruntime-web/ort-wasm-simd-threaded.wasm?url'),
    import('onnxruntime-web/ort-wasm-simd-threaded.mjs?url'),
  ]);
  ort.env.logLevel = 'error';
  ort.env.wasm.wasmPaths = { wasm, mjs };
  return ort;
}

/** @param mutex shared with every other runtime on the same build */
export function createWasmRuntime(ort: OrtWeb, mutex = new Mutex()): Runtime {
  return {
    backend: 'wasm',
    mutex,
    Tensor: ort.Tensor,
    lost: null,
    onLost() {
      // A CPU stays.
    },
    createSession: ({ model, externalData }: Graph) =>
      ort.InferenceSession.create(model, {
        executionProviders: ['wasm'],
        externalData,
        // Patterns are kept for every shape of inputs, and a growing cache gives a new one at every step.
        enableMemPattern: false,
      }),
    allocateKv: async (shape) => new KvGrowing(shape, ort.Tensor),
    readRows: async (tensor, rows, width) => rowsOnCpu(tensor, rows, width),
    async dispose() {
      // Sessions belong to their runners and ends, which release them; the worker ends with its page's engine.
    },
  };
}
