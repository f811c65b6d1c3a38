/** A backend started: how sessions are made on it, where KV memory lies, how results come back. One a process or worker. */
import type { InferenceSession, Tensor, TensorConstructor } from 'onnxruntime-web';
import type { Backend } from './engine.ts';
import type { DeviceLostError } from './errors.ts';
import type { KvMemory, KvShape } from './kv-memory.ts';
import type { Mutex } from './mutex.ts';

export type { InferenceSession, Tensor, TensorConstructor };

export interface Graph {
  readonly model: Uint8Array;
  readonly externalData: readonly { readonly path: string; readonly data: Uint8Array }[];
  /** Outputs that stay where the backend computes until they are asked for. */
  readonly keptOutputs: readonly string[];
}

export interface Runtime {
  readonly backend: Backend;
  /** Around every creation and every run of a session. */
  readonly mutex: Mutex;
  readonly Tensor: TensorConstructor;
  /** Call inside the mutex. */
  createSession(graph: Graph): Promise<InferenceSession>;
  /** @throws RuntimeFailedError when there is no memory; the caller answers busy */
  allocateKv(shape: KvShape, positionsMax: number): Promise<KvMemory>;
  /**
   * Brings the last `rows` rows of a result to the caller and frees the tensor.
   * @param tensor `[…, rows in all, width]`
   */
  readRows(tensor: Tensor, rows: number, width: number): Promise<Float32Array>;
  /** Not null once the device is gone. */
  readonly lost: DeviceLostError | null;
  /** Calls back once, when the device goes. */
  onLost(callback: (error: DeviceLostError) => void): void;
  dispose(): Promise<void>;
}

/** Rows of a result that lies in the CPU's memory; a copy only where not all are wanted. */
export function rowsOnCpu(tensor: Tensor, rows: number, width: number): Float32Array {
  const data = tensor.data as Float32Array;
  const wanted = rows * width;
  return data.length === wanted ? data : data.slice(data.length - wanted);
}
