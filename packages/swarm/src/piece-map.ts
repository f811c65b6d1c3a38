/** What a model's chunks are doing, drawn as a bounded number of cells. Pure: the page draws them, tests read them. */
import { InvalidValueError, type Manifest, type ShardId } from '@unfed/protocol';

/**
 * other: not wanted here; missing: wanted, and nobody who is reachable has it; offered: wanted, and somebody has it;
 * coming: asked for; held: verified and stored.
 */
export type PieceState = 'other' | 'missing' | 'offered' | 'coming' | 'held';

/** In the order of their numbers in `PieceShard.states`. */
export const pieceStates: readonly PieceState[] = ['other', 'missing', 'offered', 'coming', 'held'];

export interface PieceShard {
  readonly id: ShardId;
  /** One index into `pieceStates` for every chunk. */
  readonly states: Uint8Array;
}

/** Shards in the manifest's order. */
export type PieceMap = readonly PieceShard[];

/** Neighbouring chunks of one shard. */
export interface PieceCell {
  readonly shard: ShardId;
  /** `[first, last)` within the shard. */
  readonly first: number;
  readonly last: number;
  /** Where they are all the same, that; else the one that most needs to be seen: coming, then missing, then offered. */
  readonly state: PieceState;
  /** Of the chunks wanted here or held, how many are held, 0 to 1; 0 where there are none. */
  readonly heldShare: number;
}

export function pieceState(state: PieceState): number {
  return pieceStates.indexOf(state);
}

/** The map of a model that is only kept, and of which nothing is wanted. @param held as a store tells it */
export function keptPieces(
  { shards }: Pick<Manifest, 'shards'>,
  held: ReadonlyMap<ShardId, readonly number[]>,
): PieceMap {
  return shards.map(({ id, chunks }) => {
    const here = new Set(held.get(id));
    return { id, states: Uint8Array.from(chunks, (_, chunk) => pieceState(here.has(chunk) ? 'held' : 'other')) };
  });
}

/**
 * Cells for a canvas: as fine as `cellsMax` allows, the same number of chunks in each but the last of a shard, and no
 * cell over the border of two shards.
 * @param cellsMax at least one for every shard
 * @throws InvalidValueError
 */
export function pieceCells(map: PieceMap, cellsMax: number): PieceCell[] {
  if (cellsMax < map.length) {
    throw new InvalidValueError('cells of a piece map', `at least one for each of ${map.length} shards`, `${cellsMax}`);
  }
  const chunksPerCell = smallestThatFits(map, cellsMax);
  return map.flatMap((shard) =>
    Array.from({ length: Math.ceil(shard.states.length / chunksPerCell) }, (_, i) =>
      cell(shard, i * chunksPerCell, Math.min((i + 1) * chunksPerCell, shard.states.length)),
    ),
  );
}

function smallestThatFits(map: PieceMap, cellsMax: number): number {
  const cells = (chunksPerCell: number): number =>
    map.reduce((sum, { states }) => sum + Math.ceil(states.length / chunksPerCell), 0);
  let [low, high] = [1, map.reduce((most, { states }) => Math.max(most, states.length), 1)];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (cells(middle) <= cellsMax) high = middle;
    else low = middle + 1;
  }
  return low;
}

function cell({ id, states }: PieceShard, first: number, last: number): PieceCell {
  const counts = countStates(states.subarray(first, last));
  const wanted = last - first - counts.other;
  return { shard: id, first, last, state: shown(counts), heldShare: wanted === 0 ? 0 : counts.held / wanted };
}

function shown(counts: Readonly<Record<PieceState, number>>): PieceState {
  return (['coming', 'missing', 'offered', 'held'] as const).find((state) => counts[state] > 0) ?? 'other';
}

function countStates(states: Uint8Array): Record<PieceState, number> {
  const counts = { other: 0, missing: 0, offered: 0, coming: 0, held: 0 };
  for (const number of states) {
    const state = pieceStates[number];
    if (state === undefined) throw new InvalidValueError('piece state', `0 to ${pieceStates.length - 1}`, `${number}`);
    counts[state]++;
  }
  return counts;
}

/** How many chunks of the whole map are in each state: for words beside the picture, and for those who do not see it. */
export function pieceCounts(map: PieceMap): Readonly<Record<PieceState, number>> {
  const all = { other: 0, missing: 0, offered: 0, coming: 0, held: 0 };
  for (const { states } of map) {
    const counts = countStates(states);
    for (const state of pieceStates) all[state] += counts[state];
  }
  return all;
}

export interface PieceGrid {
  readonly columns: number;
  readonly rows: number;
  /** Of a square cell with the gap after it; whole pixels. */
  readonly pitchPx: number;
}

/**
 * The largest squares that show so many cells, row by row, in so much room.
 * @throws InvalidValueError when not even squares of one pixel fit
 */
export function pieceGrid(cells: number, room: { readonly widthPx: number; readonly heightPx: number }): PieceGrid {
  const { widthPx, heightPx } = room;
  const count = Math.max(cells, 1);
  for (let pitchPx = Math.floor(Math.sqrt((widthPx * heightPx) / count)); pitchPx >= 1; pitchPx--) {
    const columns = Math.floor(widthPx / pitchPx);
    const rows = Math.ceil(count / columns);
    if (rows * pitchPx <= heightPx) return { columns, rows, pitchPx };
  }
  throw new InvalidValueError('room of a piece map', `at least ${count} pixels`, `${widthPx} by ${heightPx}`);
}
