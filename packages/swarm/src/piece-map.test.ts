import { embeddingShard, layerShard } from '@unfed/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keptPieces, pieceCells, pieceCounts, pieceGrid, pieceState, pieceStates, type PieceMap } from './piece-map.ts';

const pieceMaps = fc
  .array(fc.array(fc.integer({ min: 0, max: pieceStates.length - 1 }), { minLength: 1, maxLength: 40 }), {
    minLength: 1,
    maxLength: 12,
  })
  .map((shards): PieceMap => shards.map((states, i) => ({ id: layerShard(i), states: Uint8Array.from(states) })));

const shard = (states: Parameters<typeof pieceState>[0][]): PieceMap => [
  { id: layerShard(0), states: Uint8Array.from(states.map(pieceState)) },
];

describe('piece map', () => {
  it('of a model that is only kept shows what is here, and nothing as missing', () => {
    const chunks = (count: number): Uint8Array[] => Array.from({ length: count }, () => new Uint8Array(32));
    const shards = [
      { id: embeddingShard, bytes: 3 << 20, chunks: chunks(3) },
      { id: layerShard(0), bytes: 2 << 20, chunks: chunks(2) },
    ];
    const map = keptPieces({ shards }, new Map([[embeddingShard, [0, 2, 7]]]));
    expect(map.map(({ id, states }) => [id, [...states].map((state) => pieceStates[state])])).toEqual([
      [embeddingShard, ['held', 'other', 'held']],
      [layerShard(0), ['other', 'other']],
    ]);
  });

  it('shows every chunk once, in order, within the cells allowed and within one shard each', () => {
    fc.assert(
      fc.property(pieceMaps, fc.nat(200), (map, more) => {
        const cells = pieceCells(map, map.length + more);
        expect(cells.length).toBeLessThanOrEqual(map.length + more);
        const shown = cells.flatMap((c) =>
          Array.from({ length: c.last - c.first }, (_, i) => `${c.shard}/${c.first + i}`),
        );
        expect(shown).toEqual(map.flatMap(({ id, states }) => [...states.keys()].map((i) => `${id}/${i}`)));
      }),
    );
  });

  it('gives one cell a chunk where there is room', () => {
    fc.assert(
      fc.property(pieceMaps, (map) => {
        const chunks = map.reduce((sum, { states }) => sum + states.length, 0);
        expect(pieceCells(map, chunks).map(({ state }) => state)).toEqual(
          map.flatMap(({ states }) => [...states].map((number) => pieceStates[number])),
        );
      }),
    );
  });

  it('shows in a cell of several chunks what most needs to be seen, and how much of what is wanted is held', () => {
    const one = (states: Parameters<typeof pieceState>[0][]) => pieceCells(shard(states), 1)[0];
    expect(one(['held', 'coming', 'missing', 'other'])).toMatchObject({ state: 'coming', heldShare: 1 / 3 });
    expect(one(['held', 'missing', 'offered'])).toMatchObject({ state: 'missing' });
    expect(one(['held', 'offered'])).toMatchObject({ state: 'offered', heldShare: 1 / 2 });
    expect(one(['held', 'other'])).toMatchObject({ state: 'held', heldShare: 1 });
    expect(one(['other', 'other'])).toMatchObject({ state: 'other', heldShare: 0 });
  });

  it('counts the chunks of every state', () => {
    const counts = pieceCounts([
      ...shard(['held', 'held', 'coming']),
      { id: layerShard(1), states: Uint8Array.of(0, 1, 2) },
    ]);
    expect(counts).toEqual({ held: 2, coming: 1, other: 1, missing: 1, offered: 1 });
  });

  it('refuses fewer cells than shards, and states that do not exist', () => {
    const map: PieceMap = [...shard(['held']), { id: layerShard(1), states: Uint8Array.of(1) }];
    expect(() => pieceCells(map, 1)).toThrow('at least one for each of 2 shards');
    expect(() => pieceCells([{ id: layerShard(0), states: Uint8Array.of(9) }], 1)).toThrow('piece state');
  });

  it('fits the largest squares into the room', () => {
    expect(pieceGrid(200, { widthPx: 200, heightPx: 100 })).toEqual({ columns: 20, rows: 10, pitchPx: 10 });
    const rooms = fc.record({
      widthPx: fc.integer({ min: 20, max: 800 }),
      heightPx: fc.integer({ min: 20, max: 800 }),
    });
    fc.assert(
      fc.property(fc.nat(400), rooms, (cells, room) => {
        const { columns, rows, pitchPx } = pieceGrid(cells, room);
        expect(columns * rows).toBeGreaterThanOrEqual(cells);
        expect(columns * pitchPx).toBeLessThanOrEqual(room.widthPx);
        expect(rows * pitchPx).toBeLessThanOrEqual(room.heightPx);
        const larger = pitchPx + 1;
        const fitting = Math.floor(room.widthPx / larger) * Math.floor(room.heightPx / larger);
        expect(fitting).toBeLessThan(Math.max(cells, 1));
      }),
    );
    expect(() => pieceGrid(5, { widthPx: 2, heightPx: 2 })).toThrow('at least 5 pixels');
  });
});
