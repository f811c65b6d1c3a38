/**
 * How much missing chunks are needed from the origin (SPEC.md, O rules): what was heard of each, since when no peer here
 * has it, and how much that came from the origin nobody has taken on yet. Pure: the time is passed in.
 */
import * as limits from './limits.ts';
import { Rumours, type Rumour } from './rumours.ts';

export interface OriginNeed {
  /**
   * `unheard`: nobody is known to have the chunk or to ask the origin for it, but for ourselves. `doubted`: somebody asked
   * who has it, or can pass it on, and nobody answered yet. `starved`: peers here have it, and give nothing at all.
   */
  readonly why: 'unheard' | 'doubted' | 'starved';
  /** For how long that has been so. */
  readonly waitedMs: number;
  /** Chunks that were fetched from the origin, and that no peer here has taken on; old ones are forgiven. */
  readonly unspread: number;
}

export class OriginNeeds {
  readonly #rumours: Rumours;
  /** Since when no peer here has had it; NaN where one has, or nobody asked. */
  readonly #aloneSinceMs: Float64Array;
  /** A peer here has had it since it was last heard of. */
  readonly #wasSeen: Uint8Array;
  /** Asked for by us, in which round. */
  readonly #ours = new Map<number, number>();
  /** Fetched by us and held by no peer here: since when, oldest first. */
  readonly #unspread = new Map<number, number>();
  /** How often it was asked who has a chunk. */
  readonly #doubts = new Map<number, number>();
  /** How many more unspread ones may be: those who take from us want others. */
  #forgiven = 0;
  #lastPeerByteMs: number | undefined;
  #lastUsefulMs = 0;
  #originChunks = 0;
  #nowMs = 0;

  /** @param chunks of the model */
  constructor(chunks: number) {
    this.#rumours = new Rumours(chunks);
    this.#aloneSinceMs = new Float64Array(chunks).fill(Number.NaN);
    this.#wasSeen = new Uint8Array(chunks);
  }

  /** Chunks that the origin may be asked for at the same time, where there are no peers: more with each that came. */
  get window(): number {
    return Math.min(1 + Math.floor(this.#originChunks / limits.originWindowStep), limits.originWindowChunks);
  }

  /** The time now, for what happens until the next call. */
  set nowMs(nowMs: number) {
    this.#nowMs = nowMs;
    this.#lastPeerByteMs ??= nowMs;
  }

  /** Peers here have something that is missing. */
  seeUseful(): void {
    this.#lastUsefulMs = this.#nowMs;
  }

  /** Bytes came from a peer. */
  gotPeerByte(): void {
    this.#lastPeerByteMs = this.#nowMs;
  }

  /** A whole chunk came from the origin. */
  gotOriginChunk(): void {
    this.#originChunks++;
  }

  /** @param copies how many peers here have it now */
  copiesChanged(chunk: number, copies: number): void {
    this.#aloneSinceMs[chunk] = copies === 0 ? this.#nowMs : Number.NaN;
    if (copies > 0 && this.#unspread.delete(chunk)) this.#forgiven = Math.max(0, this.#forgiven - 1);
  }

  /** One more peer here has it. @param copies without that one */
  saw(chunk: number, copies: number): void {
    this.#wasSeen[chunk] = 1;
    const state = this.#rumours.stateOf(chunk);
    // Who cannot pass it on has it all the same; a second one can.
    if (state === 'held' || (state === 'needed' && copies === 0)) return;
    this.#rumours.tell(chunk, 'held', this.#nowMs);
  }

  /** We ask the origin for it, and tell others. */
  ask(chunk: number): void {
    if (this.#isOurs(chunk)) return;
    this.#rumours.tell(chunk, 'claimed', this.#nowMs);
    this.#ours.set(chunk, this.#rumours.roundOf(chunk));
    this.#wasSeen[chunk] = 0;
  }

  /** It is here, and at so many peers. */
  hold(chunk: number, copies: number): void {
    if (copies === 0 && this.#ours.has(chunk)) this.#unspread.set(chunk, this.#nowMs);
  }

  lose(chunk: number): void {
    this.#unspread.delete(chunk);
  }

  /** @param isHere we hold the chunk */
  hear(rumour: Rumour, isHere: boolean): void {
    const { chunk } = rumour;
    if (!this.#rumours.hear(rumour, this.#nowMs)) return;
    this.#wasSeen[chunk] = 0;
    if (isHere && this.#rumours.stateOf(chunk) === 'needed') this.#rumours.tell(chunk, 'held', this.#nowMs);
  }

  get hasNews(): boolean {
    return this.#rumours.hasNews;
  }

  takeNews(): Rumour[] {
    return this.#rumours.takeNews();
  }

  heard(): Rumour[] {
    return this.#rumours.all();
  }

  /**
   * @param copies how many peers here have the chunk, which is missing
   * @returns undefined while somebody has it or asks the origin for it, as far as is known
   */
  of(chunk: number, copies: number): OriginNeed | undefined {
    const nowMs = this.#nowMs;
    const state = this.#rumours.stateOf(chunk);
    const heardMs = this.#rumours.heardMs(chunk);
    if (state === 'needed' && copies <= 1) return this.#need('doubted', heardMs);
    if (copies > 0) {
      const sinceMs = this.#lastPeerByteMs ?? nowMs;
      return nowMs - sinceMs < limits.originPatienceMs ? undefined : this.#need('starved', sinceMs);
    }
    if (Number.isNaN(this.#aloneSinceMs[chunk])) this.#aloneSinceMs[chunk] = nowMs;
    const aloneSinceMs = Math.max(this.#aloneSinceMs[chunk] ?? nowMs, heardMs);
    if (state === 'unheard' || this.#isOurs(chunk)) return this.#need('unheard', aloneSinceMs);
    const doubtedMs = aloneSinceMs + this.#patienceMs(chunk);
    if (nowMs < doubtedMs) return undefined;
    // Who was answered so often, and still has not got it, believes no more.
    const doubts = this.#doubts.get(chunk) ?? 0;
    if (doubts === limits.originDoubtsMax) return this.#need('doubted', doubtedMs);
    this.#doubts.set(chunk, doubts + 1);
    this.#rumours.tell(chunk, 'needed', nowMs);
    return this.#need('doubted', nowMs);
  }

  #need(why: OriginNeed['why'], sinceMs: number): OriginNeed {
    return { why, waitedMs: this.#nowMs - sinceMs, unspread: Math.max(0, this.#unspread.size - this.#forgiven) };
  }

  /** How long what exists somewhere is waited for, before it is asked who has it. */
  #patienceMs(chunk: number): number {
    // Whoever answered may be far away.
    const often = 2 ** (this.#doubts.get(chunk) ?? 0);
    if (this.#rumours.stateOf(chunk) === 'claimed') return limits.originClaimMs * often;
    if (this.#wasSeen[chunk] === 1) return limits.originVanishedMs * often;
    return this.#nowMs - this.#lastUsefulMs < limits.originElsewhereMs ? Infinity : limits.originElsewhereMs * often;
  }

  /** What nobody took in all that time others here are not after, or our line is too slow for it: somebody else may ask. */
  forgive(): void {
    for (const [chunk, sinceMs] of this.#unspread) {
      if (this.#nowMs - sinceMs < limits.originSpreadMs) break;
      this.#unspread.delete(chunk);
      this.#forgiven++;
      this.#rumours.tell(chunk, 'needed', this.#nowMs);
    }
  }

  #isOurs(chunk: number): boolean {
    return this.#ours.get(chunk) === this.#rumours.roundOf(chunk);
  }
}
