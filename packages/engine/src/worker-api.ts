/** What crosses the wall between a page and its engine's worker, and how errors and numbers cross it. */
import { transferHandlers, type TransferHandler } from 'comlink';
import type { SessionId, ShardId } from '@unfed/protocol';
import type { Backend, Engine, SpanReport, SpanSpec, SpanStep } from './engine.ts';
import { fromPlainError, toPlainError, type PlainError } from './errors.ts';

export interface WorkerStart {
  readonly backend: Exclude<Backend, 'node-cpu'>;
  /** Whether the GPU device may have subgroups. */
  readonly subgroups: boolean;
  /** Whether to refuse when wasm is faster. */
  readonly compare: boolean;
}

/** What a loaded span or a model's ends are called across the wall. */
export type Handle = number;
export type EndsSpec = Parameters<Engine['loadEnds']>[0];

/** The page's side of loading, as a proxy. */
export interface LoadCallbacks {
  readShard(id: ShardId): Promise<Uint8Array>;
  progress(note: string): void;
}

export interface WorkerApi {
  start(options: WorkerStart): Promise<void>;
  loadSpan(spec: SpanSpec, callbacks: LoadCallbacks): Promise<Handle>;
  open(runner: Handle, session: SessionId, positionsMax: number): Promise<'opened' | 'busy'>;
  step(runner: Handle, step: SpanStep): Promise<Float32Array>;
  close(runner: Handle, session: SessionId): Promise<void>;
  report(runner: Handle): Promise<SpanReport>;
  loadEnds(spec: EndsSpec, callbacks: LoadCallbacks): Promise<Handle>;
  embed(ends: Handle, ids: readonly number[]): Promise<Float32Array>;
  logits(ends: Handle, hidden: Float32Array): Promise<Float32Array>;
  dispose(loaded: Handle): Promise<void>;
  disposeAll(): Promise<void>;
}

interface Thrown {
  readonly value: unknown;
}

/** Makes typed errors cross: comlink's own handler keeps their message only. To be called on both sides. */
export function carryTypedErrors(): void {
  const own = transferHandlers.get('throw');
  if (own === undefined) throw new RangeError('comlink: expected a handler named throw, came none; check its version');
  const handler: TransferHandler<Thrown, PlainError> = {
    canHandle: (value): value is Thrown => own.canHandle(value),
    serialize: ({ value }) => [toPlainError(value), []],
    deserialize: (plain) => {
      throw fromPlainError(plain);
    },
  };
  transferHandlers.set('throw', handler);
}

/** @returns the array itself where it fills its buffer, which then may be transferred; else a copy that does */
export function movable(numbers: Float32Array): Float32Array<ArrayBuffer> {
  const { buffer } = numbers;
  const fills = buffer instanceof ArrayBuffer && numbers.byteLength === buffer.byteLength;
  return fills ? (numbers as Float32Array<ArrayBuffer>) : numbers.slice();
}
