/**
 * How much one source may be asked for at a time: its measured rate × (round trip + slack), so that it is never idle and
 * little is lost with it. Pure: the time is passed in, in ms from any beginning.
 */
import { limits as protocolLimits } from '@unfed/protocol';
import * as limits from './limits.ts';

/** How much a new measurement counts against those before. */
const newest = 0.3;

export class SourcePace {
  #outstandingBytes = 0;
  /** Bytes a ms; undefined before the first measurement. */
  #rate: number | undefined;
  #rttMs: number | undefined;
  /** When something was asked for while nothing was under way; undefined once it was answered. */
  #firstAskedMs: number | undefined;
  #sampleStartMs = 0;
  #sampleBytes = 0;
  #lastSignMs = 0;
  #silences = 0;
  #silentUntilMs = 0;

  get outstandingBytes(): number {
    return this.#outstandingBytes;
  }

  get bytesPerSecond(): number {
    return (this.#rate ?? 0) * 1000;
  }

  /** False after so many silences in a row that it is not asked again. */
  get isUsable(): boolean {
    return this.#silences < limits.peerStallsMax;
  }

  ask(bytes: number, nowMs: number): void {
    if (this.#outstandingBytes === 0) {
      this.#firstAskedMs = nowMs;
      this.#lastSignMs = nowMs;
      this.#sampleStartMs = nowMs;
      this.#sampleBytes = 0;
    }
    this.#outstandingBytes += bytes;
  }

  got(bytes: number, nowMs: number): void {
    this.#outstandingBytes = Math.max(0, this.#outstandingBytes - bytes);
    this.#lastSignMs = nowMs;
    this.#silences = 0;
    this.#silentUntilMs = 0;
    if (this.#firstAskedMs !== undefined) {
      const ms = nowMs - this.#firstAskedMs;
      this.#rttMs = Math.min(this.#rttMs ?? ms, ms);
      this.#firstAskedMs = undefined;
    }
    this.#sampleBytes += bytes;
    const sampleMs = nowMs - this.#sampleStartMs;
    if (sampleMs < limits.rateSampleMs) return;
    const rate = this.#sampleBytes / sampleMs;
    this.#rate = this.#rate === undefined ? rate : (1 - newest) * this.#rate + newest * rate;
    this.#sampleStartMs = nowMs;
    this.#sampleBytes = 0;
  }

  /** What was asked for will not come. */
  free(bytes: number): void {
    this.#outstandingBytes = Math.max(0, this.#outstandingBytes - bytes);
  }

  /** Whether one more chunk may be asked for. @param chunksMax above which nothing is, whatever the rate */
  hasRoom(nowMs: number, chunksMax: number): boolean {
    if (!this.isUsable || nowMs < this.#silentUntilMs) return false;
    if (this.#outstandingBytes === 0) return true;
    const chunkBytes = protocolLimits.chunkBytes;
    // After a silence, one chunk is enough to find out.
    const first = this.#silences > 0 ? 1 : limits.windowChunksFirst;
    const wantedBytes =
      this.#rate === undefined
        ? first * chunkBytes
        : this.#rate * (Math.min(this.#rttMs ?? 0, limits.rttMsMax) + limits.windowSlackMs);
    const bytesMax = Math.min(wantedBytes, chunksMax * chunkBytes);
    if (this.#rate === undefined) return this.#outstandingBytes + chunkBytes <= bytesMax;
    return this.#outstandingBytes < bytesMax && this.#outstandingBytes + chunkBytes <= chunksMax * chunkBytes;
  }

  /** In how many ms what is under way, and `bytes` more, would be here. Infinity where no rate was measured. */
  expectedMs(bytes: number): number {
    if (this.#rate === undefined || this.#rate === 0) return Infinity;
    return (this.#rttMs ?? 0) + (this.#outstandingBytes + bytes) / this.#rate;
  }

  /** @returns whether it has been silent too long, while asked; it then rests, twice as long with every time */
  checkSilence(nowMs: number): boolean {
    const patienceMs = limits.peerStallMs * 2 ** this.#silences;
    if (this.#outstandingBytes === 0 || nowMs - this.#lastSignMs < patienceMs) return false;
    this.#silences++;
    this.#silentUntilMs = nowMs + patienceMs;
    this.#outstandingBytes = 0;
    return true;
  }
}
