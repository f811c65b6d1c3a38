/** Draws a piece map on a canvas: one square a cell, in the colour of its state; what is held of it rises from below. */
import { pieceCells, pieceGrid, type PieceMap, type PieceState } from '@unfed/swarm/piece-map';
import * as limits from '../limits.ts';

export interface PieceColours {
  readonly of: (state: PieceState) => string;
  /** CSS pixels between squares of more than a few pixels. */
  readonly gapPx: number;
}

/** @param widthPx CSS pixels that the picture may take; it is as high as it needs */
export function drawPieces(
  canvas: HTMLCanvasElement,
  map: PieceMap,
  { widthPx, colours }: { widthPx: number; colours: PieceColours },
): void {
  const context = canvas.getContext('2d');
  if (context === null || map.length === 0 || widthPx < 1) return;
  const cells = pieceCells(map, Math.max(limits.pieceCellsMax, map.length));
  const rows = Math.ceil(cells.length / Math.max(1, Math.floor(widthPx / limits.pieceSideMaxPx)));
  const heightPx = Math.min(rows * limits.pieceSideMaxPx, limits.pieceMapHeightMaxPx);
  const grid = pieceGrid(cells.length, { widthPx, heightPx });
  const scale = devicePixelRatio;
  canvas.width = Math.round(widthPx * scale);
  canvas.height = Math.round(grid.rows * grid.pitchPx * scale);
  canvas.style.blockSize = `${grid.rows * grid.pitchPx}px`;
  context.scale(scale, scale);
  const sidePx = grid.pitchPx > 3 ? grid.pitchPx - colours.gapPx : grid.pitchPx;
  for (const [index, { state, heldShare }] of cells.entries()) {
    const x = (index % grid.columns) * grid.pitchPx;
    const y = Math.floor(index / grid.columns) * grid.pitchPx;
    context.fillStyle = colours.of(state);
    context.fillRect(x, y, sidePx, sidePx);
    if (state === 'held' || heldShare === 0) continue;
    const heldPx = heldShare * sidePx;
    context.fillStyle = colours.of('held');
    context.fillRect(x, y + sidePx - heldPx, sidePx, heldPx);
  }
}
