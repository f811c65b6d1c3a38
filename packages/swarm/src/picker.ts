/**
 * Which chunk from whom next (SPEC.md, P rules). Pure: no I/O, no clock and no chance of its own, so that downloads and
 * the simulator run the same code. Chunks are counted through all shards of a manifest (ChunkMap).
 */
import { limits as protocolLimits } from '@unfed/protocol';
import { Bitmap } from './bitmap.ts';
import * as limits from './limits.ts';
import { OriginNeeds, type OriginNeed } from './origin-need.ts';
import { firstDoubt, type Rumour } from './rumours.ts';
import { SourcePace } from './source-pace.ts';

export interface PickerOptions {
  /** Chunks of all shards. */
  readonly chunks: number;
  /** Bytes of a chunk; a whole one everywhere when absent. */
  readonly bytesOf?: (chunk: number) => number;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  /** In which order the origin is to be asked, lowest first; undefined while it is not this peer's turn. Default: 0. */
  readonly originTurn?: (chunk: number, need: OriginNeed, nowMs: number) => number | undefined;
}

interface Source {
  readonly id: string;
  readonly isOrigin: boolean;
  readonly chunks: Bitmap;
  readonly pace: SourcePace;
  /** Bytes that are still to come, by chunk under way. */
  readonly asked: Map<number, number>;
  choked: boolean;
  /** Missing chunks that it has. */
  useful: number;
}

const unwanted = -1;

export class Picker {
  /** Chunks that one source may be asked for at a time; lowered while a download is limited. */
  windowChunksMax: number = limits.windowChunksMax;

  readonly #options: PickerOptions;
  readonly #held: Bitmap;
  /** Missing: wanted and not held, in no order; and where each one stands in it. */
  readonly #missing: number[] = [];
  readonly #placeOf: Int32Array;
  readonly #priorities: Int32Array;
  /** How many peers have it, and how many sources were asked for it. */
  readonly #copies: Uint16Array;
  readonly #underWay: Uint8Array;
  /** Missing ones that nobody was asked for. */
  #free = 0;
  #received = 0;
  readonly #needs: OriginNeeds;
  readonly #sources = new Map<string, Source>();

  constructor(options: PickerOptions) {
    this.#options = options;
    this.#held = new Bitmap(options.chunks);
    this.#placeOf = new Int32Array(options.chunks).fill(unwanted);
    this.#priorities = new Int32Array(options.chunks).fill(unwanted);
    this.#copies = new Uint16Array(options.chunks);
    this.#underWay = new Uint8Array(options.chunks);
    this.#needs = new OriginNeeds(options.chunks);
  }

  /** @param priority from 0; lower ones come first */
  want(chunk: number, priority: number): void {
    this.#priorities[chunk] = Math.max(0, priority);
    if (!this.#held.has(chunk)) this.#addMissing(chunk);
  }

  /** What is under way for it may still come. */
  unwant(chunk: number): void {
    this.#priorities[chunk] = unwanted;
    this.#removeMissing(chunk);
  }

  /** It is here, from wherever. @returns the sources that were asked for it, which need not send it any more */
  hold(chunk: number): string[] {
    const asked: string[] = [];
    for (const source of this.#sources.values()) {
      if (!source.asked.has(chunk)) continue;
      this.#release(source, chunk);
      asked.push(source.id);
    }
    if (this.#held.add(chunk)) {
      this.#needs.hold(chunk, this.copiesOf(chunk));
      this.#removeMissing(chunk);
    }
    return asked;
  }

  /** It is no longer here. */
  lose(chunk: number): void {
    if (!this.#held.delete(chunk)) return;
    this.#needs.lose(chunk);
    if (this.#priorities[chunk] !== unwanted) this.#addMissing(chunk);
  }

  holds(chunk: number): boolean {
    return this.#held.has(chunk);
  }

  get missingCount(): number {
    return this.#missing.length;
  }

  /** Peers that have it. */
  copiesOf(chunk: number): number {
    return this.#copies[chunk] ?? 0;
  }

  underWayOf(chunk: number): number {
    return this.#underWay[chunk] ?? 0;
  }

  /** A peer, choked until it says otherwise and with nothing yet; or the origin, which has everything. */
  add(id: string, kind: 'peer' | 'origin'): void {
    if (this.#sources.has(id)) return;
    const isOrigin = kind === 'origin';
    const chunks = isOrigin ? Bitmap.full(this.#options.chunks) : new Bitmap(this.#options.chunks);
    const useful = isOrigin ? this.#missing.length : 0;
    this.#sources.set(id, {
      id,
      isOrigin,
      chunks,
      pace: new SourcePace(),
      asked: new Map(),
      choked: !isOrigin,
      useful,
    });
  }

  remove(id: string): void {
    const source = this.#sources.get(id);
    if (source === undefined) return;
    this.#releaseAll(source);
    this.#sources.delete(id);
    if (source.isOrigin) return;
    for (const chunk of source.chunks.indexes()) this.#setCopies(chunk, -1);
  }

  /** A peer says that it has a chunk. */
  gain(id: string, chunk: number, nowMs: number): void {
    const source = this.#sources.get(id);
    if (source?.chunks.add(chunk) !== true) return;
    if (this.#isMissing(chunk)) source.useful++;
    if (source.isOrigin) return;
    this.#needs.nowMs = nowMs;
    this.#needs.saw(chunk, this.copiesOf(chunk));
    this.#setCopies(chunk, 1);
  }

  /** A source turned out not to have a chunk. */
  lack(id: string, chunk: number): void {
    const source = this.#sources.get(id);
    if (source?.chunks.delete(chunk) !== true) return;
    if (this.#isMissing(chunk)) source.useful--;
    if (!source.isOrigin) this.#setCopies(chunk, -1);
    this.#release(source, chunk);
  }

  /** It is asked for nothing more. What it does not send of what is under way, it rejects. */
  choke(id: string): void {
    const source = this.#sources.get(id);
    if (source !== undefined) source.choked = true;
  }

  unchoke(id: string): void {
    const source = this.#sources.get(id);
    if (source !== undefined) source.choked = false;
  }

  /** Whether it has something that is missing here. */
  isInteresting(id: string): boolean {
    return (this.#sources.get(id)?.useful ?? 0) > 0;
  }

  /** False for a source that was silent too often. */
  isUsable(id: string): boolean {
    return this.#sources.get(id)?.pace.isUsable === true;
  }

  bytesPerSecondOf(id: string): number {
    return this.#sources.get(id)?.pace.bytesPerSecond ?? 0;
  }

  /** Chunks that a source is asked for now. */
  askedOf(id: string): readonly number[] {
    return [...(this.#sources.get(id)?.asked.keys() ?? [])];
  }

  /** @returns what is to be asked of this source now; it counts as asked */
  next(id: string, nowMs: number): number[] {
    const source = this.#sources.get(id);
    const chunks: number[] = [];
    if (source === undefined || source.choked || source.useful === 0) return chunks;
    this.#needs.nowMs = nowMs;
    if (source.isOrigin) {
      this.#needs.forgive();
      if (this.#hasUsefulPeer()) this.#needs.seeUseful();
    }
    const chunksMax = source.isOrigin ? Math.min(this.#originChunksMax(), this.windowChunksMax) : this.windowChunksMax;
    while (source.asked.size < chunksMax && this.#hasRoom(source, chunksMax, nowMs)) {
      const chunk = this.#pick(source, nowMs);
      if (chunk === undefined) break;
      this.#ask(source, chunk, nowMs);
      chunks.push(chunk);
    }
    return chunks;
  }

  /** Bytes of a chunk came. */
  progress(id: string, { chunk, bytes, nowMs }: { chunk: number; bytes: number; nowMs: number }): void {
    const source = this.#sources.get(id);
    const left = source?.asked.get(chunk);
    if (source === undefined || left === undefined) return;
    const taken = Math.min(bytes, left);
    source.asked.set(chunk, left - taken);
    source.pace.got(taken, nowMs);
    this.#needs.nowMs = nowMs;
    if (!source.isOrigin) this.#needs.gotPeerByte();
    else if (left === taken) this.#needs.gotOriginChunk();
  }

  /** What was asked for did not come, or was wrong: it is free for others. */
  fail(id: string, chunk: number): void {
    const source = this.#sources.get(id);
    if (source !== undefined) this.#release(source, chunk);
  }

  /** Passes over the sources that are asked and silent. @returns them, with what is free for others again */
  silent(nowMs: number): { readonly id: string; readonly chunks: readonly number[] }[] {
    const silent: { id: string; chunks: number[] }[] = [];
    for (const source of this.#sources.values()) {
      if (source.pace.checkSilence(nowMs)) silent.push({ id: source.id, chunks: this.#releaseAll(source) });
    }
    return silent;
  }

  /** Others tell what exists somewhere. */
  hear(rumours: readonly Rumour[], nowMs: number): void {
    this.#needs.nowMs = nowMs;
    for (const rumour of rumours) this.#needs.hear(rumour, this.#held.has(rumour.chunk));
  }

  /** Something was heard, or done, that others may not know. */
  get hasNews(): boolean {
    return this.#needs.hasNews;
  }

  /** @returns what was heard since the last call: to be passed on to all */
  takeRumours(): Rumour[] {
    return this.#needs.takeNews().filter((rumour) => this.#isWorthTelling(rumour));
  }

  /** For a peer that comes. */
  rumours(): Rumour[] {
    return this.#needs.heard().filter((rumour) => this.#isWorthTelling(rumour));
  }

  /** What several peers here have needs no words, unless it was asked who has it. */
  #isWorthTelling({ chunk, round }: Rumour): boolean {
    return round >= firstDoubt || this.copiesOf(chunk) <= limits.rumourCopiesMax;
  }

  #hasRoom(source: Source, chunksMax: number, nowMs: number): boolean {
    // The origin answers each request on its own, so its pace cannot be seen from a line of requests.
    if (source.isOrigin && source.asked.size > 0) return source.pace.isUsable;
    return source.pace.hasRoom(nowMs, chunksMax);
  }

  #pick(source: Source, nowMs: number): number | undefined {
    if (this.#free === 0) return this.#pickDuplicate(source, nowMs);
    const anyOrder = this.#received < limits.randomChunksFirst;
    let best: number | undefined;
    let bestPriority = Infinity;
    let bestCopies = Infinity;
    let ties = 0;
    for (const chunk of this.#missing) {
      if ((this.#underWay[chunk] ?? 0) > 0 || !source.chunks.has(chunk)) continue;
      const priority = this.#priorities[chunk] ?? 0;
      if (priority > bestPriority) continue;
      const copies = source.isOrigin ? this.#originTurn(chunk, nowMs) : anyOrder ? 0 : this.copiesOf(chunk);
      if (copies === undefined || (priority === bestPriority && copies > bestCopies)) continue;
      ties = priority < bestPriority || copies < bestCopies ? 1 : ties + 1;
      bestPriority = priority;
      bestCopies = copies;
      // Of equals each is as likely.
      if (ties === 1 || this.#options.random() * ties < 1) best = chunk;
    }
    return best ?? this.#pickDuplicate(source, nowMs);
  }

  /** Endgame: everything is under way, and this source may be sooner. */
  #pickDuplicate(source: Source, nowMs: number): number | undefined {
    if (source.asked.size > 0) return undefined;
    const ownMs = source.pace.expectedMs(protocolLimits.chunkBytes);
    let best: number | undefined;
    let latestMs = 0;
    for (const chunk of this.#missing) {
      if ((this.#underWay[chunk] ?? 0) >= limits.endgameCopiesMax || !source.chunks.has(chunk)) continue;
      if (source.isOrigin && this.#originTurn(chunk, nowMs) === undefined) continue;
      const otherMs = this.#soonestMs(chunk);
      const isSooner = ownMs === Infinity ? otherMs === Infinity : ownMs * limits.endgameGain < otherMs;
      if (!isSooner || otherMs <= latestMs) continue;
      best = chunk;
      latestMs = otherMs;
    }
    return best;
  }

  /** When a chunk that is under way is expected, at the soonest. */
  #soonestMs(chunk: number): number {
    let soonestMs = Infinity;
    for (const source of this.#sources.values()) {
      if (source.asked.has(chunk)) soonestMs = Math.min(soonestMs, source.pace.expectedMs(0));
    }
    return soonestMs;
  }

  #originTurn(chunk: number, nowMs: number): number | undefined {
    const need = this.#needs.of(chunk, this.copiesOf(chunk));
    if (need === undefined) return undefined;
    return this.#options.originTurn === undefined ? 0 : this.#options.originTurn(chunk, need, nowMs);
  }

  /** Beside peers, one at a time: what another fetched meanwhile need not be fetched again. */
  #originChunksMax(): number {
    const hasPeers = this.#sources.size > 1;
    return hasPeers ? 1 : this.#needs.window;
  }

  #hasUsefulPeer(): boolean {
    for (const source of this.#sources.values()) if (!source.isOrigin && source.useful > 0) return true;
    return false;
  }

  #ask(source: Source, chunk: number, nowMs: number): void {
    const bytes = this.#options.bytesOf?.(chunk) ?? protocolLimits.chunkBytes;
    source.asked.set(chunk, bytes);
    if (source.isOrigin) this.#needs.ask(chunk);
    source.pace.ask(bytes, nowMs);
    this.#setUnderWay(chunk, 1);
  }

  #release(source: Source, chunk: number): void {
    const left = source.asked.get(chunk);
    if (left === undefined) return;
    source.asked.delete(chunk);
    source.pace.free(left);
    this.#setUnderWay(chunk, -1);
  }

  #releaseAll(source: Source): number[] {
    const chunks = [...source.asked.keys()];
    for (const chunk of chunks) this.#release(source, chunk);
    return chunks;
  }

  #setCopies(chunk: number, change: 1 | -1): void {
    const before = this.copiesOf(chunk);
    this.#copies[chunk] = before + change;
    this.#needs.copiesChanged(chunk, before + change);
  }

  #setUnderWay(chunk: number, change: 1 | -1): void {
    const before = this.#underWay[chunk] ?? 0;
    const now = before + change;
    this.#underWay[chunk] = now;
    if (!this.#isMissing(chunk)) return;
    if (before === 0) this.#free--;
    else if (now === 0) this.#free++;
  }

  #isMissing(chunk: number): boolean {
    return (this.#placeOf[chunk] ?? unwanted) !== unwanted;
  }

  #addMissing(chunk: number): void {
    if (this.#isMissing(chunk)) return;
    this.#placeOf[chunk] = this.#missing.length;
    this.#missing.push(chunk);
    if ((this.#underWay[chunk] ?? 0) === 0) this.#free++;
    for (const source of this.#sources.values()) if (source.chunks.has(chunk)) source.useful++;
  }

  #removeMissing(chunk: number): void {
    const place = this.#placeOf[chunk] ?? unwanted;
    const last = this.#missing.at(-1);
    if (place === unwanted || last === undefined) return;
    this.#missing[place] = last;
    this.#placeOf[last] = place;
    this.#missing.pop();
    this.#placeOf[chunk] = unwanted;
    if ((this.#underWay[chunk] ?? 0) === 0) this.#free--;
    if (this.#held.has(chunk)) this.#received++;
    for (const source of this.#sources.values()) if (source.chunks.has(chunk)) source.useful--;
  }
}
