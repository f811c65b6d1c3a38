/** Any cells, in any order, at a hop and at the client: a typed end at worst, within the limits, and nothing kept. */
import { UnfedError } from '@unfed/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cellTypes, decodeCell, encodeCell, type CellType } from './cell.ts';
import { flip, step, whole } from './circuit-world.fixture.ts';
import * as limits from './limits.ts';
import { seededBytes } from './seeded-random.fixture.ts';

describe('a guard that sends anything', () => {
  const types: CellType[] = ['created', 'backward', 'joined', 'destroyed', 'forward', 'create'];

  it('ends the circuit at worst, with a typed reason', async () => {
    const kinds = fc.constantFrom('noise' as const, 'altered' as const, 'again' as const);
    const cell = fc.record({ type: fc.constantFrom(...types), kind: kinds, seed: fc.nat() });
    await fc.assert(
      fc.asyncProperty(fc.array(cell, { minLength: 1, maxLength: 6 }), async (cells) => {
        const { world, client } = await whole(1, 1);
        client.circuit.loop(1, 1);
        await world.run();
        const real = world.sent.filter(({ to }) => to === 'client').map(({ frame }) => frame);
        for (const { type, kind, seed } of cells) {
          const known = decodeCell(real[seed % real.length]).body;
          const body = kind === 'noise' ? seededBytes(seed)(limits.bodyBytes) : kind === 'again' ? known : flip(known);
          client.circuit.receive({ type, circuit: 1, body });
        }
        const said = client.heard().slice(1);
        expect(said.length).toBeLessThanOrEqual(1);
        for (const each of said) expect(each).toMatch(/^ended [a-z-]+ /);
        await client.circuit.sendMessage(step, { padded: false }).catch(() => undefined);
      }),
      { numRuns: 25 },
    );
  });
});

describe('any sequence of cells', () => {
  const event = fc.oneof(
    fc.record({ kind: fc.constant('replay' as const), pick: fc.nat(), from: fc.nat(5), to: fc.nat(5) }),
    fc.record({ kind: fc.constant('alter' as const), pick: fc.nat(), at: fc.nat(limits.cellBytes - 1) }),
    fc.record({ kind: fc.constant('retype' as const), pick: fc.nat(), type: fc.constantFrom(...cellTypes) }),
    fc.record({
      kind: fc.constant('noise' as const),
      seed: fc.nat(),
      from: fc.nat(5),
      to: fc.nat(5),
      type: fc.constantFrom(...cellTypes),
    }),
    fc.record({ kind: fc.constant('step' as const) }),
    fc.record({ kind: fc.constant('loop' as const), hop: fc.nat(3) }),
    fc.record({ kind: fc.constant('cut' as const), from: fc.nat(4), to: fc.nat(4) }),
    fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 20_000 }) }),
  );
  const names = ['client', 'f0', 'f1', 's0', 's1', 'x0'];

  it('never throws untyped, never holds beyond the limits, never sends plaintext, and leaves nothing behind', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 25 }), async (events) => {
        const { world, client } = await whole();
        const seen = [...world.sent];
        const plain = new Uint8Array(600).fill(0x5a);
        const inject = (to: string, from: string, frame: Uint8Array): void => {
          if (to === 'client' || from === to) return;
          try {
            world.peer(to).table.receive(world.link(to, from), frame);
          } catch (error) {
            expect(error).toBeInstanceOf(UnfedError);
          }
        };
        for (const each of events) {
          seen.push(...world.sent.slice(-50));
          const picked = 'pick' in each && seen.length > 0 ? seen[each.pick % seen.length] : undefined;
          if (each.kind === 'step') {
            const sent = client.circuit.sendMessage(plain, { padded: false });
            await sent.catch((error: unknown) => expect(error).toBeInstanceOf(UnfedError));
          } else if (each.kind === 'loop' && each.hop < client.circuit.length) client.circuit.loop(each.hop, 1);
          else if (each.kind === 'cut') world.cut(names[each.from], names[each.to]);
          else if (each.kind === 'wait') world.nowMs += each.ms;
          else if (each.kind === 'noise') {
            const frame = encodeCell({
              type: each.type,
              circuit: each.seed % 5,
              body: seededBytes(each.seed)(limits.bodyBytes),
            });
            inject(names[each.to], names[each.from], frame);
          } else if (picked !== undefined) {
            if (each.kind === 'replay') inject(names[each.to], names[each.from], picked.frame);
            else if (each.kind === 'alter') inject(picked.to, picked.from, flip(picked.frame, each.at));
            else if (each.kind === 'retype') {
              inject(picked.to, picked.from, encodeCell({ ...decodeCell(picked.frame), type: each.type }));
            }
          }
          for (const { table } of world.peers.values()) {
            table.sweep();
            expect(table.heldCells).toBeGreaterThanOrEqual(0);
            expect(table.heldCells).toBeLessThanOrEqual(limits.heldCellsMax);
            expect(table.circuits).toBeLessThanOrEqual(limits.circuitsMax);
          }
          await world.run();
        }
        const sent = world.sent.map(({ frame }) => Buffer.from(frame));
        for (const marker of [0x5a, 0x5b, 0x5c]) {
          expect(sent.some((frame) => frame.includes(Buffer.alloc(16, marker)))).toBe(false);
        }
        expect(world.faults).toEqual([]);
        client.circuit.close();
        for (const { table } of world.peers.values()) table.stop();
        await world.run();
        for (const { table } of world.peers.values()) expect([table.circuits, table.heldCells]).toEqual([0, 0]);
      }),
      { numRuns: 40 },
    );
  });
});
