/**
 * What exists somewhere in the swarm, beyond what one's own peers hold: told from peer to peer, so that the origin, which
 * knows nobody, is not asked twice for a chunk whose only copy is many links away. Of each chunk only the highest round is
 * passed on, once, so that every rumour dies (Demers et al., "Epidemic algorithms for replicated database maintenance",
 * 1987).
 */
import * as limits from './limits.ts';

export interface Rumour {
  /** Counted through the model. */
  readonly chunk: number;
  /** From 1: claimed, held, needed, claimed again, … */
  readonly round: number;
}

/**
 * `unheard`: nothing is known of the chunk. `claimed`: somebody asks the origin for it. `held`: somebody has it. `needed`:
 * somebody asks who has it, or has it and cannot pass it on soon enough; without an answer the origin is asked again.
 */
export type RumourState = 'unheard' | 'claimed' | 'held' | 'needed';

const states = ['claimed', 'held', 'needed'] as const;
/** The round in which it is first asked who has a chunk. */
export const firstDoubt = states.indexOf('needed') + 1;

export class Rumours {
  readonly #rounds: Uint8Array;
  readonly #heardMs: Float64Array;
  readonly #news = new Set<number>();

  /** @param chunks of the model */
  constructor(chunks: number) {
    this.#rounds = new Uint8Array(chunks);
    this.#heardMs = new Float64Array(chunks);
  }

  /** 0 where nothing was heard of it. */
  roundOf(chunk: number): number {
    return this.#rounds[chunk] ?? 0;
  }

  stateOf(chunk: number): RumourState {
    const round = this.roundOf(chunk);
    return round === 0 ? 'unheard' : (states[(round - 1) % states.length] ?? 'unheard');
  }

  /** When its round was heard; 0 before. */
  heardMs(chunk: number): number {
    return this.#heardMs[chunk] ?? 0;
  }

  /** @returns whether that is news, which is then passed on */
  hear({ chunk, round }: Rumour, nowMs: number): boolean {
    if (round <= this.roundOf(chunk) || round > limits.rumourRoundsMax) return false;
    this.#rounds[chunk] = round;
    this.#heardMs[chunk] = nowMs;
    this.#news.add(chunk);
    return true;
  }

  /** Something happened to a chunk here. */
  tell(chunk: number, state: Exclude<RumourState, 'unheard'>, nowMs: number): void {
    const round = this.roundOf(chunk);
    const place = round % states.length;
    const step = (states.indexOf(state) - place + states.length) % states.length;
    this.hear({ chunk, round: round + step + 1 }, nowMs);
  }

  get hasNews(): boolean {
    return this.#news.size > 0;
  }

  /** @returns what is to be passed on, each once */
  takeNews(): Rumour[] {
    const news = [...this.#news].map((chunk) => ({ chunk, round: this.roundOf(chunk) }));
    this.#news.clear();
    return news;
  }

  /** For a peer that has heard nothing yet. */
  all(): Rumour[] {
    const all: Rumour[] = [];
    for (const [chunk, round] of this.#rounds.entries()) if (round > 0) all.push({ chunk, round });
    return all;
  }
}
