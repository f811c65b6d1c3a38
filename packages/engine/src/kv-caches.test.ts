import { sessionId, type SessionId } from '@unfed/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KvCaches, type KvSession } from './kv-caches.ts';
import * as limits from './limits.ts';

const id = (n: number): SessionId => sessionId(n.toString(16).padStart(32, '0'));

interface Memory {
  readonly session: SessionId;
  frees: number;
}

function caches(cacheBytesMax: number, bytesPerPosition = 10) {
  const memories: Memory[] = [];
  const kv = new KvCaches<Memory>({ cacheBytesMax, bytesPerPosition, free: (memory) => memory.frees++ });
  const open = (session: SessionId, positionsMax: number, nowMs: number): boolean => {
    if (!kv.reserve(session, positionsMax, nowMs)) return false;
    const memory = { session, frees: 0 };
    memories.push(memory);
    kv.fill(session, memory);
    return true;
  };
  return { kv, open, memories };
}

describe('KV caches', () => {
  it('reserve what a session may ever take, and answer no when that is not free', () => {
    const { kv, open } = caches(100);
    expect(open(id(1), 6, 0)).toBe(true);
    expect(open(id(2), 5, 0)).toBe(false);
    expect(open(id(3), 4, 0)).toBe(true);
    expect(kv.cacheBytes).toBe(100);
  });

  it('evict the longest idle first, and nobody when that would not be enough', () => {
    const { kv, open, memories } = caches(100);
    open(id(1), 3, 0);
    open(id(2), 3, 1);
    open(id(3), 4, limits.idleMakesRoomMs);
    const nowMs = 2 * limits.idleMakesRoomMs - 1;
    expect(open(id(4), 7, nowMs)).toBe(false);
    expect(kv.size).toBe(3);
    expect(open(id(5), 3, nowMs)).toBe(true);
    expect(memories.filter(({ frees }) => frees === 1).map(({ session }) => session)).toEqual([id(1)]);
  });

  it('never evict a session whose step runs or waits', () => {
    const { kv, open } = caches(100);
    open(id(1), 10, 0);
    const held = kv.hold(id(1));
    expect(open(id(2), 1, limits.idleEvictionMs)).toBe(false);
    expect(kv.expire(limits.idleEvictionMs)).toEqual([]);
    kv.release(held, limits.idleEvictionMs);
    expect(kv.expire(2 * limits.idleEvictionMs)).toEqual([id(1)]);
  });

  it('know a session that ended and came back under the same id from the one a step was meant for', () => {
    const { kv, open } = caches(100);
    open(id(1), 10, 0);
    const held = kv.hold(id(1));
    open(id(1), 10, 0);
    expect(() => kv.check(held, 0, 1)).toThrow(expect.objectContaining({ code: 'session-lost' }));
    kv.release(held, 0);
    expect(kv.expire(limits.idleEvictionMs)).toEqual([id(1)]);
  });

  it('let a step start at most where the cache ends, and end at most where the reservation does', () => {
    const { kv, open } = caches(100);
    open(id(1), 10, 0);
    const held = kv.hold(id(1));
    held.positions = 4;
    kv.check(held, 4, 6);
    kv.check(held, 0, 10);
    for (const [position, tokens] of [
      [5, 1],
      [4, 7],
      [-1, 1],
      [0.5, 1],
    ]) {
      expect(() => kv.check(held, position, tokens)).toThrow(expect.objectContaining({ code: 'session-position' }));
    }
  });

  const command = fc.oneof(
    fc.record({
      kind: fc.constant('open' as const),
      session: fc.nat(5),
      positionsMax: fc.integer({ min: 1, max: 12 }),
    }),
    fc.record({ kind: fc.constantFrom('close', 'hold', 'release'), session: fc.nat(5) }),
    fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(2 * limits.idleEvictionMs) }),
    fc.record({ kind: fc.constant('expire' as const) }),
  );

  it('keep their budget, free every memory once, and keep all that are in use, whatever is asked', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
        const { kv, open, memories } = caches(200);
        const held: KvSession<Memory>[] = [];
        let nowMs = 0;
        for (const asked of commands) {
          const inUse = held.filter(({ memory }) => memory.frees === 0);
          if (asked.kind === 'wait') nowMs += asked.ms;
          else if (asked.kind === 'expire') kv.expire(nowMs);
          else if (asked.kind === 'open') {
            const fits = open(id(asked.session), asked.positionsMax, nowMs);
            expect(fits || asked.positionsMax * 10 + kv.cacheBytes > 200).toBe(true);
          } else if (asked.kind === 'close') kv.close(id(asked.session));
          else if (asked.kind === 'release') held.splice(0, 1).forEach((first) => kv.release(first, nowMs));
          else if (memories.some(({ session, frees }) => session === id(asked.session) && frees === 0)) {
            held.push(kv.hold(id(asked.session)));
          }
          const live = memories.filter(({ frees }) => frees === 0);
          expect(kv.size).toBe(live.length);
          expect(kv.cacheBytes).toBeLessThanOrEqual(200);
          expect(memories.every(({ frees }) => frees <= 1)).toBe(true);
          const mayEnd = 'session' in asked ? id(asked.session) : null;
          for (const { session, memory } of inUse) expect(memory.frees === 0 || session === mayEnd).toBe(true);
        }
        kv.closeAll();
        expect(kv.cacheBytes).toBe(0);
        expect(memories.every(({ frees }) => frees === 1)).toBe(true);
      }),
    );
  });
});
