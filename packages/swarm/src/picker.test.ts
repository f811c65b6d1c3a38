import { limits as protocolLimits } from '@unfed/protocol';
import { seededRandom } from '@unfed/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as limits from './limits.ts';
import { Picker, type PickerOptions } from './picker.ts';

const chunkBytes = protocolLimits.chunkBytes;

function picker(chunks: number, options: Partial<PickerOptions> = {}): Picker {
  return new Picker({ chunks, random: seededRandom(1), ...options });
}

/** A peer that has these, unchoked. */
function peer(of: Picker, id: string, chunks: Iterable<number>): void {
  of.add(id, 'peer');
  for (const chunk of chunks) of.gain(id, chunk, 0);
  of.unchoke(id);
}

const all = (chunks: number): number[] => Array.from({ length: chunks }, (_, i) => i);
function wantAll(of: Picker, chunks: number): Picker {
  for (const chunk of all(chunks)) of.want(chunk, 0);
  return of;
}

/** The chunk came whole from this source. @returns the others that were asked for it */
function deliver(of: Picker, id: string, at: { chunk: number; nowMs: number }): string[] {
  of.progress(id, { ...at, bytes: chunkBytes });
  return of.hold(at.chunk).filter((other) => other !== id);
}

describe('picker', () => {
  it('P1, P2, P9: never asks for what it has, nor a peer for what it lacks or while choked; and it ends', () => {
    const events = fc.record({
      seed: fc.nat(),
      chunks: fc.integer({ min: 1, max: 40 }),
      held: fc.array(fc.nat(39), { maxLength: 20 }),
      peers: fc.array(fc.array(fc.nat(39), { maxLength: 40 }), { minLength: 1, maxLength: 6 }),
    });
    fc.assert(
      fc.property(events, ({ seed, chunks, held, peers }) => {
        const random = seededRandom(seed);
        const of = picker(chunks, { random });
        const has = new Map(peers.map((list, i) => [`p${i}`, new Set(list.filter((chunk) => chunk < chunks))]));
        for (const chunk of held) if (chunk < chunks) of.hold(chunk);
        wantAll(of, chunks);
        for (const [id, list] of has) peer(of, id, list);
        const reachable = all(chunks).filter((chunk) => of.holds(chunk) || [...has.values()].some((s) => s.has(chunk)));
        const choked = new Set<string>();
        const underWay: { id: string; chunk: number }[] = [];
        let nowMs = 0;
        for (let turn = 0; turn < 3000 && reachable.some((chunk) => !of.holds(chunk)); turn++) {
          nowMs += Math.floor(random() * 400);
          const id = `p${Math.floor(random() * peers.length)}`;
          if (random() < 0.1) {
            if (choked.delete(id)) of.unchoke(id);
            else {
              choked.add(id);
              of.choke(id);
            }
          }
          for (const chunk of of.next(id, nowMs)) {
            expect(of.holds(chunk)).toBe(false);
            expect(has.get(id)?.has(chunk)).toBe(true);
            expect(choked.has(id)).toBe(false);
            expect(underWay).not.toContainEqual({ id, chunk });
            underWay.push({ id, chunk });
          }
          const [done] = underWay.splice(Math.floor(random() * underWay.length), 1);
          if (done === undefined) continue;
          if (random() < 0.2) of.fail(done.id, done.chunk);
          else deliver(of, done.id, { chunk: done.chunk, nowMs });
          for (let i = underWay.length - 1; i >= 0; i--) if (of.holds(underWay[i].chunk)) underWay.splice(i, 1);
        }
        expect(reachable.filter((chunk) => !of.holds(chunk))).toEqual([]);
        expect(of.missingCount).toBe(chunks - reachable.length);
      }),
      { numRuns: 200 },
    );
  });

  it('P3: takes the first at random, then the rarest', () => {
    const firsts = new Set<number>();
    for (let seed = 0; seed < 40; seed++) {
      const of = wantAll(picker(8, { random: seededRandom(seed) }), 8);
      peer(of, 'a', all(8));
      peer(of, 'b', all(7));
      peer(of, 'c', all(6));
      firsts.add(of.next('a', 0)[0] ?? -1);
    }
    expect(firsts.size).toBeGreaterThan(4);
    const of = picker(8);
    wantAll(of, 8);
    peer(of, 'a', all(8));
    peer(of, 'b', all(7));
    peer(of, 'c', all(6));
    for (const chunk of [0, 1]) of.hold(chunk);
    expect(of.next('a', 0)).toEqual([7, 6]);
  });

  it('P4: lower priorities come first, however rare the others are', () => {
    const of = picker(4);
    of.want(0, 1);
    of.want(1, 0);
    of.want(2, 1);
    peer(of, 'a', all(4));
    peer(of, 'b', [1]);
    expect(of.next('a', 0)[0]).toBe(1);
    of.unwant(0);
    of.hold(1);
    of.next('a', 0);
    expect(of.askedOf('a')).toContain(2);
  });

  it('P5: keeps a window of rate × (round trip + slack) under way', () => {
    const of = wantAll(picker(200), 200);
    peer(of, 'a', all(200));
    expect(of.next('a', 0)).toHaveLength(limits.windowChunksFirst);
    // 10 chunks a second, each answered when the next is asked for.
    let nowMs = 0;
    for (let i = 0; i < 40; i++) {
      nowMs += 100;
      deliver(of, 'a', { chunk: of.askedOf('a')[0], nowMs });
      of.next('a', nowMs);
    }
    const window = of.askedOf('a').length;
    expect(window).toBeGreaterThanOrEqual(3);
    expect(window).toBeLessThanOrEqual(6);
    of.windowChunksMax = 1;
    for (const chunk of of.askedOf('a')) deliver(of, 'a', { chunk, nowMs });
    expect(of.next('a', nowMs)).toHaveLength(1);
  });

  it('P6: at the end asks a faster peer too, and says whose requests are left over', () => {
    const of = wantAll(picker(12), 12);
    peer(of, 'slow', all(12));
    peer(of, 'fast', all(12));
    of.next('slow', 0);
    let nowMs = 0;
    while (of.missingCount > 2) {
      nowMs += 300;
      for (const chunk of of.next('fast', nowMs)) deliver(of, 'fast', { chunk, nowMs: nowMs + 300 });
    }
    const [last] = of.askedOf('slow');
    expect(of.next('slow', nowMs)).toEqual([]);
    const [duplicate] = of.next('fast', nowMs);
    expect(of.askedOf('slow')).toContain(duplicate);
    expect(last).toBeDefined();
    expect(deliver(of, 'fast', { chunk: duplicate, nowMs })).toEqual(['slow']);
    expect(of.underWayOf(duplicate)).toBe(0);
  });

  it('P6: asks a faster peer that has nothing else for what a slow one is sending, also before the end', () => {
    const of = wantAll(picker(20), 20);
    peer(of, 'slow', [0, 1]);
    peer(of, 'fast', [2]);
    expect(of.next('slow', 0).sort()).toEqual([0, 1]);
    for (const chunk of of.next('fast', 0)) deliver(of, 'fast', { chunk, nowMs: 300 });
    of.gain('fast', 0, 300);
    expect(of.next('fast', 300)).toEqual([0]);
    // What nobody was asked for comes first.
    of.fail('fast', 0);
    of.gain('fast', 3, 300);
    expect(of.next('fast', 300)[0]).toBe(3);
  });

  it('P7: passes over a peer that has all and sends nothing, and then asks it no more', () => {
    const of = wantAll(picker(4), 4);
    peer(of, 'mute', all(4));
    let nowMs = 0;
    let asked = 0;
    for (let turn = 0; turn < 1000; turn++, nowMs += 1000) {
      asked += of.next('mute', nowMs).length;
      for (const { id, chunks } of of.silent(nowMs)) expect([id, chunks.length > 0]).toEqual(['mute', true]);
    }
    expect(of.isUsable('mute')).toBe(false);
    expect(asked).toBeLessThanOrEqual(limits.windowChunksFirst + limits.peerStallsMax);
    peer(of, 'good', all(4));
    expect(of.next('good', nowMs)).toHaveLength(limits.windowChunksFirst);
  });

  it('P8: the origin is asked first for what no peer has, and for the rest only when no peer gives anything', () => {
    const of = picker(4);
    wantAll(of, 4);
    of.add('origin', 'origin');
    peer(of, 'a', [0, 1]);
    const nowMs = limits.originPatienceMs - 1;
    const first = [...of.next('origin', 0), ...of.next('origin', 0)];
    expect(first).toHaveLength(1);
    for (const chunk of [2, 3]) {
      of.next('origin', 1);
      expect(of.askedOf('origin')).toContain(chunk === 2 ? first[0] : 5 - (first[0] ?? 0));
      deliver(of, 'origin', { chunk: of.askedOf('origin')[0] ?? 0, nowMs: 1 });
    }
    expect([2, 3].every((chunk) => of.holds(chunk))).toBe(true);
    expect(of.next('origin', nowMs)).toEqual([]);
    expect([0, 1]).toContain(of.next('origin', nowMs + 1)[0]);
  });

  it('P8: the origin is asked by turns', () => {
    const of = picker(4, {
      originTurn: (chunk, { waitedMs }) => (waitedMs > 1000 || chunk === 2 ? 4 - chunk : undefined),
    });
    wantAll(of, 4);
    of.add('origin', 'origin');
    expect(of.next('origin', 0)).toEqual([2]);
    deliver(of, 'origin', { chunk: 2, nowMs: 0 });
    expect(of.next('origin', 1000)).toEqual([]);
    expect(of.next('origin', 1001)).toEqual([3]);
  });

  it('O2: alone, asks the origin for one more at a time with every four that came; beside peers for one', () => {
    const of = wantAll(picker(100), 100);
    of.add('origin', 'origin');
    for (let came = 0; came < 24; came++) {
      of.next('origin', 0);
      expect(of.askedOf('origin')).toHaveLength(Math.min(1 + Math.floor(came / 4), limits.originWindowChunks));
      deliver(of, 'origin', { chunk: of.askedOf('origin')[0], nowMs: 0 });
    }
    for (const chunk of of.askedOf('origin')) of.fail('origin', chunk);
    peer(of, 'a', []);
    expect(of.next('origin', 0)).toHaveLength(1);
  });

  it('counts copies and interest through everything that comes and goes', () => {
    const step = fc.record({ what: fc.nat(6), peer: fc.nat(3), chunk: fc.nat(9) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const of = picker(10);
        const has = new Map<string, Set<number>>();
        const [wanted, held] = [new Set<number>(), new Set<number>()];
        for (const { what, peer: number, chunk } of steps) {
          const id = `p${number}`;
          const set = has.get(id);
          if (what === 0 && set === undefined) {
            has.set(id, new Set());
            of.add(id, 'peer');
          } else if (what === 1) {
            has.delete(id);
            of.remove(id);
          } else if (what === 2) {
            set?.add(chunk);
            of.gain(id, chunk, 0);
          } else if (what === 3) {
            set?.delete(chunk);
            of.lack(id, chunk);
          } else if (what === 4) {
            wanted.add(chunk);
            of.want(chunk, 0);
          } else if (what === 5) {
            held.add(chunk);
            of.hold(chunk);
          } else {
            held.delete(chunk);
            of.lose(chunk);
          }
        }
        const missing = [...wanted].filter((chunk) => !held.has(chunk));
        expect(of.missingCount).toBe(missing.length);
        for (const chunk of all(10)) {
          expect(of.copiesOf(chunk)).toBe([...has.values()].filter((set) => set.has(chunk)).length);
        }
        for (const [id, set] of has) expect(of.isInteresting(id)).toBe(missing.some((chunk) => set.has(chunk)));
      }),
    );
  });
});
