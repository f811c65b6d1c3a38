/** The line of one uploader: its capacity is shared evenly by what it is sending. */
import type { EventQueue } from './event-queue.ts';

/** A chunk on its way to a peer. */
export interface Flow<To> {
  readonly to: To;
  readonly chunk: number;
  leftBytes: number;
}

export interface UplinkParts<To> {
  readonly bytesPerMs: number;
  readonly queue: EventQueue;
  /** Bytes of a chunk left the line. */
  readonly onBytes: (flow: Flow<To>, bytes: number) => void;
  /** All of it did. */
  readonly onSent: (flow: Flow<To>) => void;
}

export class Uplink<To> {
  readonly flows: Flow<To>[] = [];
  sentBytes = 0;
  readonly #parts: UplinkParts<To>;
  #settledMs = 0;
  #version = 0;

  constructor(parts: UplinkParts<To>) {
    this.#parts = parts;
  }

  start(flow: Flow<To>): void {
    this.settle();
    this.flows.push(flow);
    this.#plan();
  }

  /** @returns what was being sent and is not any more */
  stop(matches: (flow: Flow<To>) => boolean): Flow<To>[] {
    const stopped = this.flows.filter(matches);
    if (stopped.length === 0) return stopped;
    this.settle();
    for (const flow of stopped) this.flows.splice(this.flows.indexOf(flow), 1);
    this.#plan();
    return stopped;
  }

  /** Counts what was sent until now. */
  settle(): void {
    const { bytesPerMs, queue, onBytes } = this.#parts;
    const each = ((queue.nowMs - this.#settledMs) * bytesPerMs) / Math.max(1, this.flows.length);
    this.#settledMs = queue.nowMs;
    if (each === 0) return;
    for (const flow of this.flows) {
      const sent = Math.min(each, flow.leftBytes);
      flow.leftBytes -= sent;
      this.sentBytes += sent;
      onBytes(flow, sent);
    }
  }

  #plan(): void {
    const version = ++this.#version;
    if (this.flows.length === 0) return;
    const { bytesPerMs, queue, onSent } = this.#parts;
    let leastBytes = Infinity;
    for (const { leftBytes } of this.flows) leastBytes = Math.min(leastBytes, leftBytes);
    queue.after((leastBytes * this.flows.length) / bytesPerMs, () => {
      if (version !== this.#version) return;
      this.settle();
      const sent = this.flows.filter(({ leftBytes }) => leftBytes < 1);
      for (const flow of sent) this.flows.splice(this.flows.indexOf(flow), 1);
      this.#plan();
      for (const flow of sent) onSent(flow);
    });
  }
}
