/** WebGPU, in a worker, by onnxruntime-web on a device of our own. KV caches stay on the GPU; only wanted rows leave it. */
import type { InferenceSession, Tensor, TensorConstructor } from 'onnxruntime-web';
import { DeviceLostError, RuntimeFailedError } from './errors.ts';
import { kvNames, type KvMemory, type KvShape, type Tensors } from './kv-memory.ts';
import { Mutex } from './mutex.ts';
import type { Graph, Runtime } from './runtime.ts';
import type { OrtWeb } from './runtime-wasm.ts';

const floatBytes = Float32Array.BYTES_PER_ELEMENT;

/** The build with WebGPU; it computes on wasm, too. */
export async function loadWebGpuBuild(): Promise<OrtWeb> {
  const [ort, { default: wasm }, { default: mjs }] = await Promise.all([
    import('onnxruntime-web/webgpu'),
    import('onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url'),
    import('onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url'),
  ]);
  ort.env.logLevel = 'error';
  ort.env.wasm.wasmPaths = { wasm, mjs };
  return ort;
}

export class WebGpuRuntime implements Runtime {
  readonly backend = 'webgpu';
  readonly mutex = new Mutex();
  readonly Tensor: TensorConstructor;
  readonly #ort: OrtWeb;
  readonly #device: GPUDevice;
  readonly #lostCallbacks: ((error: DeviceLostError) => void)[] = [];
  #lost: DeviceLostError | null = null;
  /** Reused while it is large enough; the mutex keeps it to one reader. */
  #staging: GPUBuffer | null = null;

  constructor(ort: OrtWeb, device: GPUDevice) {
    this.#ort = ort;
    this.#device = device;
    this.Tensor = ort.Tensor;
    void device.lost.then(({ reason, message }) => {
      this.#lost = new DeviceLostError(message === '' ? reason : message);
      for (const callback of this.#lostCallbacks) callback(this.#lost);
    });
  }

  get lost(): DeviceLostError | null {
    return this.#lost;
  }

  onLost(callback: (error: DeviceLostError) => void): void {
    this.#lostCallbacks.push(callback);
  }

  createSession({ model, externalData, keptOutputs }: Graph): Promise<InferenceSession> {
    return this.#ort.InferenceSession.create(model, {
      executionProviders: [{ name: 'webgpu', device: this.#device }],
      externalData,
      preferredOutputLocation: Object.fromEntries(keptOutputs.map((name) => [name, 'gpu-buffer'])),
    });
  }

  async allocateKv(shape: KvShape, positionsMax: number): Promise<KvMemory> {
    this.#device.pushErrorScope('out-of-memory');
    this.#device.pushErrorScope('validation');
    const memory = new KvOnGpu(shape, positionsMax, { device: this.#device, TensorOf: this.Tensor });
    const errors = await Promise.all([this.#device.popErrorScope(), this.#device.popErrorScope()]);
    const error = errors.find((candidate) => candidate !== null);
    if (error !== undefined && error !== null) {
      memory.free();
      throw new RuntimeFailedError('allocating a KV cache on webgpu', error.message);
    }
    return memory;
  }

  async readRows(tensor: Tensor, rows: number, width: number): Promise<Float32Array> {
    const bytes = rows * width * floatBytes;
    const staging = this.#stagingOf(bytes);
    const encoder = this.#device.createCommandEncoder();
    encoder.copyBufferToBuffer(tensor.gpuBuffer, tensor.size * floatBytes - bytes, staging, 0, bytes);
    this.#device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ, 0, bytes);
    const result = new Float32Array(staging.getMappedRange(0, bytes).slice(0));
    staging.unmap();
    tensor.dispose();
    return result;
  }

  async dispose(): Promise<void> {
    this.#staging?.destroy();
    this.#device.destroy();
  }

  #stagingOf(bytes: number): GPUBuffer {
    if (this.#staging === null || this.#staging.size < bytes) {
      this.#staging?.destroy();
      this.#staging = this.#device.createBuffer({
        size: bytes,
        usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
      });
    }
    return this.#staging;
  }
}

/** One buffer of full length as past and as present: GroupQueryAttention appends to it in place. Truncating is free. */
class KvOnGpu implements KvMemory {
  readonly feeds: Tensors = {};
  readonly fetches: Record<string, Tensor | null> = { hidden_out: null };
  readonly #buffers: GPUBuffer[] = [];

  constructor(
    shape: KvShape,
    positionsMax: number,
    { device, TensorOf }: { device: GPUDevice; TensorOf: TensorConstructor },
  ) {
    const dims = [1, shape.kvHeads, positionsMax, shape.headSize];
    const size = shape.kvHeads * positionsMax * shape.headSize * floatBytes;
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    for (const { past, present } of kvNames(shape)) {
      const buffer = device.createBuffer({ size, usage });
      this.#buffers.push(buffer);
      const tensor = TensorOf.fromGpuBuffer(buffer, { dataType: 'float32', dims });
      this.feeds[past] = tensor;
      this.fetches[present] = tensor;
    }
  }

  truncate(): void {
    // The step's lengths say how much of the buffer counts.
  }

  keep(): void {
    // The results are the buffers themselves.
  }

  free(): void {
    for (const buffer of this.#buffers) buffer.destroy();
    this.#buffers.length = 0;
  }
}
