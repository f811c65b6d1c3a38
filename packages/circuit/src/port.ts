/**
 * One end of a circuit on a link: sends its cells, and counts those that the link has not taken yet, so that no circuit
 * makes its hop hold more than a window.
 */
import { destroyBody, encodeCell, type CellType } from './cell.ts';
import type { RandomBytes } from './bytes.ts';
import { CircuitError, type CircuitReason } from './errors.ts';
import * as limits from './limits.ts';

/** What a circuit has on a link: towards the client, towards the next hop, a stage that joined here, or our join elsewhere. */
export type PortKind = 'previous' | 'next' | 'joined' | 'join';

export interface PortInit<L> {
  readonly kind: PortKind;
  readonly link: L;
  readonly id: number;
  readonly random: RandomBytes;
  /** Hands a frame to the link. */
  readonly send: (frame: Uint8Array) => Promise<void>;
  /** Counts cells that this peer holds, or no longer holds. @throws CircuitError busy */
  readonly hold: (cells: number) => void;
  readonly forget: () => void;
  /** The link did not take a cell. */
  readonly onLost: () => void;
}

/** Beside the window of data: cells of control. */
const controlCells = 16;

export class Port<L> {
  readonly kind: PortKind;
  readonly link: L;
  readonly id: number;
  readonly #init: PortInit<L>;
  #unsent = 0;
  #ended = false;

  constructor(init: PortInit<L>) {
    this.#init = init;
    this.kind = init.kind;
    this.link = init.link;
    this.id = init.id;
  }

  /**
   * @returns when the link took the cell, or is lost
   * @throws CircuitError flood, busy
   */
  send(type: CellType, body: Uint8Array): Promise<void> {
    if (this.#ended) return Promise.resolve();
    if (this.#unsent >= limits.windowCells + controlCells) throw new CircuitError('flood');
    this.#init.hold(1);
    this.#unsent++;
    return this.#hand(encodeCell({ type, circuit: this.id, body }));
  }

  /** Says why, where the other end is to know, and forgets the circuit on this link. */
  end(reason?: CircuitReason): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#init.forget();
    if (reason === undefined) return;
    const type = this.kind === 'previous' || this.kind === 'joined' ? 'destroyed' : 'destroy';
    const frame = encodeCell({ type, circuit: this.id, body: destroyBody(reason, this.#init.random) });
    // A link that is gone needs no farewell.
    this.#init.send(frame).catch(() => undefined);
  }

  async #hand(frame: Uint8Array): Promise<void> {
    try {
      await this.#init.send(frame);
    } catch {
      if (!this.#ended) this.#init.onLost();
    } finally {
      this.#unsent--;
      this.#init.hold(-1);
    }
  }
}
