/** The download as one line on a terminal, written over itself; nothing at all where nobody watches. */
import type { Peer } from '@unfed/client/node';
import { progressLine } from '@unfed/swarm/progress-text';

/** Times between two drawings, ms. */
const drawEveryMs = 200;

export interface ProgressTerminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** @returns what clears the line and ends it */
export function showProgress(peer: Pick<Peer, 'weights' | 'donation'>, terminal: ProgressTerminal): () => void {
  if (terminal.isTTY !== true) return () => undefined;
  let shown = false;
  const clear = (): void => {
    if (shown) terminal.write('\r\x1b[K');
    shown = false;
  };
  const draw = (): void => {
    clear();
    const model = peer.weights.view.models.find(({ heldBytes, wantedBytes }) => heldBytes < wantedBytes);
    if (peer.donation.state.kind !== 'downloading' || model === undefined) return;
    const figures = { ...model, doneBytes: model.heldBytes, totalBytes: model.wantedBytes };
    terminal.write(progressLine(figures, (terminal.columns ?? 80) - 1));
    shown = true;
  };
  const timer = setInterval(draw, drawEveryMs);
  return () => {
    clearInterval(timer);
    clear();
  };
}
