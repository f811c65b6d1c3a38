/**
 * Who holds how much KV memory, and who must give way: the accounting of a span's sessions. Pure: memory itself is the
 * caller's `M`, time is an argument.
 */
import type { SessionId } from '@unfed/protocol';
import { SessionLostError, SessionPositionError } from './errors.ts';
import * as limits from './limits.ts';

/** One open session. `positions` is how many the cache holds; all below it are right. */
export interface KvSession<M> {
  readonly session: SessionId;
  readonly positionsMax: number;
  readonly bytes: number;
  readonly memory: M;
  positions: number;
}

interface Entry<M> extends Omit<KvSession<M>, 'memory'> {
  /** Null between `reserve` and `fill`. */
  memory: M | null;
  lastUsedMs: number;
  /** Steps that run or wait; a session with any is not idle. */
  pending: number;
}

type FilledEntry<M> = Entry<M> & { memory: M };

function isFilled<M>(entry: Entry<M> | undefined): entry is FilledEntry<M> {
  return entry !== undefined && entry.memory !== null;
}

export interface KvCachesOptions<M> {
  readonly cacheBytesMax: number;
  readonly bytesPerPosition: number;
  /** Called once for every session that ends: closed, evicted or replaced. */
  readonly free: (memory: M) => void;
}

export class KvCaches<M> {
  readonly cacheBytesMax: number;
  readonly #bytesPerPosition: number;
  readonly #free: (memory: M) => void;
  readonly #entries = new Map<SessionId, Entry<M>>();
  #cacheBytes = 0;

  constructor(options: KvCachesOptions<M>) {
    this.cacheBytesMax = options.cacheBytesMax;
    this.#bytesPerPosition = options.bytesPerPosition;
    this.#free = options.free;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Reserved now, never over `cacheBytesMax`. */
  get cacheBytes(): number {
    return this.#cacheBytes;
  }

  /**
   * Takes the bytes out of the budget, evicting sessions idle for 60 s, the longest idle first, and only if that is
   * enough. A session that is open already ends first. Follow with `fill`.
   * @returns whether there was room
   */
  reserve(session: SessionId, positionsMax: number, nowMs: number): boolean {
    this.close(session);
    const bytes = positionsMax * this.#bytesPerPosition;
    if (!this.#makeRoom(bytes, nowMs)) return false;
    this.#entries.set(session, {
      session,
      positionsMax,
      bytes,
      memory: null,
      positions: 0,
      lastUsedMs: nowMs,
      pending: 0,
    });
    this.#cacheBytes += bytes;
    return true;
  }

  /** Gives a reserved session its memory. @throws SessionLostError when it was closed meanwhile; `memory` is freed */
  fill(session: SessionId, memory: M): void {
    const entry = this.#entries.get(session);
    if (entry === undefined) {
      this.#free(memory);
      throw new SessionLostError(session);
    }
    entry.memory = memory;
  }

  /** Marks a step as waiting: the session does not count as idle until `release`. @throws SessionLostError */
  hold(session: SessionId): KvSession<M> {
    const entry = this.#entries.get(session);
    if (!isFilled(entry)) throw new SessionLostError(session);
    entry.pending++;
    return entry;
  }

  release(held: KvSession<M>, nowMs: number): void {
    const entry = this.#entries.get(held.session);
    if (entry !== held) return;
    entry.pending--;
    entry.lastUsedMs = nowMs;
  }

  /**
   * To be asked when the step's turn has come.
   * @throws SessionLostError when the session ended while the step waited, SessionPositionError for a gap or an overrun
   */
  check(held: KvSession<M>, position: number, tokens: number): void {
    if (this.#entries.get(held.session) !== held) throw new SessionLostError(held.session);
    if (!Number.isSafeInteger(position) || position < 0 || position > held.positions) {
      throw new SessionPositionError(held.session, `a position of 0 to ${held.positions}`, `${position}`);
    }
    if (position + tokens > held.positionsMax) {
      const came = `${tokens} from position ${position} on`;
      throw new SessionPositionError(held.session, `at most ${held.positionsMax} positions`, came);
    }
  }

  close(session: SessionId): void {
    const entry = this.#entries.get(session);
    if (entry === undefined) return;
    this.#entries.delete(session);
    this.#cacheBytes -= entry.bytes;
    if (isFilled(entry)) this.#free(entry.memory);
  }

  closeAll(): void {
    for (const session of [...this.#entries.keys()]) this.close(session);
  }

  /** Ends every session that was idle for 5 minutes. @returns those sessions */
  expire(nowMs: number): SessionId[] {
    const expired = this.#idleFor(limits.idleEvictionMs, nowMs);
    for (const { session } of expired) this.close(session);
    return expired.map(({ session }) => session);
  }

  /** Longest idle first. */
  #idleFor(idleMs: number, nowMs: number): Entry<M>[] {
    return [...this.#entries.values()]
      .filter((entry) => entry.pending === 0 && nowMs - entry.lastUsedMs >= idleMs)
      .sort((a, b) => a.lastUsedMs - b.lastUsedMs);
  }

  #makeRoom(bytes: number, nowMs: number): boolean {
    const evicted: SessionId[] = [];
    let free = this.cacheBytesMax - this.#cacheBytes;
    let places = limits.sessionsMax - this.#entries.size;
    for (const entry of this.#idleFor(limits.idleMakesRoomMs, nowMs)) {
      if (free >= bytes && places > 0) break;
      evicted.push(entry.session);
      free += entry.bytes;
      places++;
    }
    if (free < bytes || places <= 0) return false;
    for (const session of evicted) this.close(session);
    return true;
  }
}
