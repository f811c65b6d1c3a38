/**
 * Which peers may be the first hop of this person's circuits: an ordered sample of a few, kept for a month and across
 * reloads. Who sees all first hops learns in time who asks; with few and lasting guards an attacker gets few chances to
 * be one, however many peers they add. A small form of Tor's guard specification (proposal 271).
 */
import { peerId, type PeerId } from '@unfed/protocol';
import * as v from 'valibot';
import type { GuardStore } from './guard-store.ts';
import { areKin } from './hop-kin.ts';
import * as limits from './limits.ts';

export interface GuardCandidate {
  readonly peer: PeerId;
  /** For how long relays have listed it. */
  readonly listedMs: number;
  /** Labels of `kinLabels`: no two guards share one. */
  readonly kin: readonly string[];
}

/** A guard as the page shows it. */
export interface GuardView {
  readonly peer: PeerId;
  /** ms since 1970. */
  readonly chosenMs: number;
  readonly untilMs: number;
  /** Until when it is passed over where another can serve, because circuits through it failed; 0 when it is not. */
  readonly restsUntilMs: number;
}

export interface GuardPick {
  readonly peer: PeerId;
  /** Circuits through it failed lately, and no other guard is there: whoever has something better may use that. */
  readonly resting: boolean;
}

export interface GuardSampleInit {
  readonly store: GuardStore;
  /** ms since 1970. */
  readonly nowMs?: () => number;
  /** In [0, 1). */
  readonly random?: () => number;
}

const guardSchema = v.object({
  peer: v.pipe(v.string(), v.transform(peerId)),
  kin: v.array(v.string()),
  chosenMs: v.number(),
  /** Failures of circuits, halved by each success. */
  strikes: v.number(),
  restsUntilMs: v.number(),
});
const schema = v.object({
  version: v.literal(1),
  guards: v.pipe(v.array(guardSchema), v.maxLength(limits.guardsMax)),
  /** Since when no guard has been listed; null while one is. */
  absentSinceMs: v.nullable(v.number()),
});

type Guard = v.InferOutput<typeof guardSchema>;
type State = v.InferOutput<typeof schema>;

export class GuardSample {
  readonly #store: GuardStore;
  readonly #nowMs: () => number;
  readonly #random: () => number;
  /** What was written last counts where the store lends no room. */
  #unwritten: State | undefined;

  constructor({ store, nowMs = Date.now, random = secureRandom }: GuardSampleInit) {
    this.#store = store;
    this.#nowMs = nowMs;
    this.#random = random;
  }

  get guards(): readonly GuardView[] {
    const nowMs = this.#nowMs();
    return this.#read().guards.map(({ peer, chosenMs, restsUntilMs }) => {
      const untilMs = chosenMs + limits.guardLifeMs;
      return { peer, chosenMs, untilMs, restsUntilMs: restsUntilMs > nowMs ? restsUntilMs : 0 };
    });
  }

  /**
   * The guard to use now: the first in order that is listed and can serve, those whose circuits failed lately last. The
   * sample is filled first; it grows only where none of it can serve.
   * @param candidates who could be a guard, of those that are listed now
   * @param canServe whether a circuit can go through this guard; asked of few
   * @returns undefined when no guard may be used now
   */
  pick(candidates: readonly GuardCandidate[], canServe: (peer: PeerId) => boolean): GuardPick | undefined {
    const state = this.#read();
    const nowMs = this.#nowMs();
    const longLived = this.#longLived(candidates);
    while (state.guards.length < limits.guardsKept) {
      const added = this.#draw(state, longLived, () => true);
      if (added === undefined) break;
    }
    const listed = new Set(candidates.map(({ peer }) => peer));
    const here = state.guards.filter(({ peer }) => listed.has(peer));
    state.absentSinceMs = here.length > 0 ? null : (state.absentSinceMs ?? nowMs);
    const inOrder = [
      ...here.filter(({ restsUntilMs }) => restsUntilMs <= nowMs),
      ...here.filter(({ restsUntilMs }) => restsUntilMs > nowMs).sort((a, b) => a.restsUntilMs - b.restsUntilMs),
    ];
    let guard = inOrder.find(({ peer }) => canServe(peer));
    if (guard === undefined && this.#mayGrow(state)) {
      let asked = 0;
      guard = this.#draw(state, longLived, (peer) => ++asked <= limits.guardsAskedMax && canServe(peer));
      if (guard !== undefined) state.absentSinceMs = null;
    }
    this.#write(state);
    return guard === undefined ? undefined : { peer: guard.peer, resting: guard.restsUntilMs > nowMs };
  }

  /** A circuit through this guard was built. */
  built(peer: PeerId): void {
    this.#change(peer, (guard) => {
      guard.strikes /= 2;
      guard.restsUntilMs = 0;
    });
  }

  /** A circuit through this guard failed, at whichever hop: a guard that lets only some circuits live does so as well. */
  failed(peer: PeerId): void {
    this.#strike(peer, 0);
  }

  /** No link to the guard could be had, though the relay is there: another is tried at once. */
  unreachable(peer: PeerId): void {
    this.#strike(peer, limits.guardStrikesBorne);
  }

  #strike(peer: PeerId, strikesMin: number): void {
    this.#change(peer, (guard) => {
      guard.strikes = Math.min(limits.guardStrikesMax, Math.max(strikesMin, guard.strikes + 1));
      const over = guard.strikes - limits.guardStrikesBorne;
      if (over < 0) return;
      guard.restsUntilMs = this.#nowMs() + Math.min(limits.guardRestMaxMs, limits.guardRestFirstMs * 2 ** over);
    });
  }

  /**
   * Those that have been there for long. In a young network, where few have, half of the third longest time is enough:
   * who adds any number of new peers changes nothing about it.
   */
  #longLived(candidates: readonly GuardCandidate[]): readonly GuardCandidate[] {
    const times = candidates.map(({ listedMs }) => listedMs).sort((a, b) => b - a);
    const longMs = (times[limits.guardsKept - 1] ?? times.at(-1) ?? 0) / 2;
    return candidates.filter(({ listedMs }) => listedMs >= Math.min(limits.guardListedMs, longMs));
  }

  /** Guards that are away may come back: only when none was there for a while are others taken. */
  #mayGrow({ guards, absentSinceMs }: State): boolean {
    if (guards.length < limits.guardsKept || guards.length >= limits.guardsMax) return false;
    return absentSinceMs === null || this.#nowMs() - absentSinceMs >= limits.guardAbsentMs;
  }

  /** Adds one at random. */
  #draw(state: State, candidates: readonly GuardCandidate[], fits: (peer: PeerId) => boolean): Guard | undefined {
    const held = state.guards.flatMap(({ kin }) => kin);
    const left = candidates.filter(
      ({ peer, kin }) => !state.guards.some((guard) => guard.peer === peer) && !areKin(held, kin),
    );
    while (left.length > 0) {
      const [{ peer, kin }] = left.splice(Math.floor(this.#random() * left.length), 1);
      if (!fits(peer)) continue;
      const guard = { peer, kin: [...kin], chosenMs: this.#nowMs(), strikes: 0, restsUntilMs: 0 };
      state.guards.push(guard);
      return guard;
    }
    return undefined;
  }

  #change(peer: PeerId, change: (guard: Guard) => void): void {
    const state = this.#read();
    const guard = state.guards.find((each) => each.peer === peer);
    if (guard === undefined) return;
    change(guard);
    this.#write(state);
  }

  /** Anew each time: another tab may have chosen meanwhile. */
  #read(): State {
    const state = this.#unwritten ?? decode(this.#store.read()) ?? { version: 1, guards: [], absentSinceMs: null };
    const nowMs = this.#nowMs();
    // A clock that was set back must not keep a guard for longer than its time from now on.
    for (const guard of state.guards) guard.chosenMs = Math.min(guard.chosenMs, nowMs);
    state.guards = state.guards.filter(({ chosenMs }) => nowMs - chosenMs < limits.guardLifeMs);
    return state;
  }

  #write(state: State): void {
    try {
      this.#store.write(JSON.stringify(state));
      this.#unwritten = undefined;
    } catch {
      this.#unwritten = state;
    }
  }
}

/** What cannot be read is as nothing: the sample begins anew. */
function decode(text: string | undefined): State | undefined {
  try {
    const result = v.safeParse(schema, JSON.parse(text ?? 'null'));
    return result.success ? result.output : undefined;
  } catch {
    return undefined;
  }
}

/** Of the platform's generator: which guards a person has must not follow from anything that can be guessed. */
function secureRandom(): number {
  const [word = 0] = crypto.getRandomValues(new Uint32Array(1));
  return word / 2 ** 32;
}
