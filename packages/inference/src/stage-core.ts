/**
 * What a stage does, whichever way its steps come in: memory for sessions, steps in order within bounds, and the runner.
 * The doors are `stage-direct.ts`, for clients that open sessions themselves, and `circuit-service.ts`.
 */
import type { SpanRunner } from '@unfed/engine';
import { asError, bytesPerNumber, type Link, type ManifestHash, type SessionId, type Step } from '@unfed/protocol';
import { sessionToEnd } from './cache-share.ts';
import { StageProtocolError, StepTimeoutError } from './errors.ts';
import { packHidden, unpackHidden } from './hidden-states.ts';
import * as limits from './limits.ts';
import { RunnerWatch } from './runner-watch.ts';
import { SessionOpenings, type SessionRequest } from './session-openings.ts';
import { StepBudget, StepQueue, type QueuedStep } from './step-queue.ts';

export interface StageCoreOptions {
  readonly runner: SpanRunner;
  readonly manifest: ManifestHash;
  /** Width of the hidden states. */
  readonly width: number;
  readonly nowMs?: () => number;
  /** The runner cannot go on (a lost GPU, a dead worker): whoever announces this stage should stop. Called once. */
  readonly onRunnerLost?: (error: Error) => void;
}

/** Where the results of a session go, and its end. */
export interface SessionDoor {
  /** Every position goes on to a next stage; to the client, what the step wants. */
  readonly nextIsStage: boolean;
  /** Nobody uses the session now: it is kept only while nobody else needs its memory. */
  readonly givesWay?: boolean;
  /** Takes a result. @throws what its link throws: the session then ends */
  deliver(result: Step): Promise<void>;
  /** The session is over, for a reason that its client should know. */
  failed(error: Error): void;
}

export interface StageSession {
  readonly id: SessionId;
  /** The link by which it was opened, or taken up again: limits and shares count by it. */
  opener: Link;
  readonly positionsMax: number;
  readonly steps: StepQueue<Step>;
  door: SessionDoor;
  /** Positions in the cache after the last step that was computed. */
  positionsHeld: number;
  lastUsedMs: number;
}

export class StageCore {
  readonly #options: StageCoreOptions;
  readonly #nowMs: () => number;
  readonly #sessions = new Map<SessionId, StageSession>();
  readonly #openings: SessionOpenings;
  readonly #budget = new StepBudget();
  readonly #watch: RunnerWatch;
  readonly #listeners = new Set<() => void>();
  #positionsServed = 0;
  #decodeSteps = 0;
  #decodeMs = 0;

  constructor(options: StageCoreOptions) {
    this.#options = options;
    this.#watch = new RunnerWatch((error) => options.onRunnerLost?.(error));
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#openings = new SessionOpenings({
      runner: options.runner,
      manifest: options.manifest,
      held: this.#sessions,
      reserve: (request) => this.#reserve(request),
    });
  }

  get sessions(): ReadonlyMap<SessionId, StageSession> {
    return this.#sessions;
  }

  get openings(): Pick<SessionOpenings, 'close' | 'closeAllOf'> {
    return this.#openings;
  }

  get positionsServed(): number {
    return this.#positionsServed;
  }

  get decodeSteps(): number {
    return this.#decodeSteps;
  }

  get decodeMs(): number {
    return this.#decodeMs;
  }

  get stepBytesQueued(): number {
    return this.#budget.bytes;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * @param makeDoor what must be there before memory is reserved: a link to where results go
   * @throws StageProtocolError, StepTimeoutError, LinkError, what the runner throws
   */
  open(request: SessionRequest, makeDoor: (signal: AbortSignal) => Promise<SessionDoor>): Promise<StageSession> {
    return this.#openings.open(request, makeDoor, (door) => {
      const session: StageSession = {
        id: request.session,
        opener: request.opener,
        positionsMax: request.positionsMax,
        door,
        positionsHeld: 0,
        lastUsedMs: this.#nowMs(),
        steps: new StepQueue<Step>(this.#budget, {
          compute: (queued) => this.#compute(session, queued),
          deliver: (result) => this.#deliver(session, result),
        }),
      };
      this.#sessions.set(session.id, session);
      this.#changed();
      return session;
    });
  }

  /** Takes a step for a session; one that may not be ends the session. @param link that it came on */
  push(session: StageSession, step: Step, link: Link): void {
    const refusal = this.#refusal(step);
    if (refusal !== undefined) {
      void this.end(session, refusal);
      return;
    }
    session.lastUsedMs = this.#nowMs();
    const full = session.steps.push({ step, link, arrivedMs: session.lastUsedMs });
    if (full !== undefined) void this.end(session, new StageProtocolError('busy', full));
  }

  /** @param error for the client, through its door; none where the client ended it */
  end(session: StageSession, error?: Error): Promise<void> {
    if (this.#sessions.get(session.id) !== session) return Promise.resolve();
    this.#sessions.delete(session.id);
    session.steps.clear();
    if (error !== undefined) session.door.failed(error);
    this.#changed();
    // What the runner cannot free, it frees when it is disposed of.
    return this.#options.runner.close(session.id).catch(() => undefined);
  }

  stop(error: Error): void {
    this.#openings.stop(error);
    for (const session of [...this.#sessions.values()]) void this.end(session, error);
  }

  #refusal({ tokens, payload, precision }: Step): StageProtocolError | undefined {
    const { width } = this.#options;
    if (payload.byteLength !== tokens * width * bytesPerNumber(precision)) {
      return new StageProtocolError('wrong-width', `hidden states of this model are ${width} wide`);
    }
    const max = limits.prefillStepPositionsMax;
    return tokens > max ? new StageProtocolError('step-too-long', `a step takes at most ${max} positions`) : undefined;
  }

  /** Where there is no room, sessions of whoever holds more than its share end, until there is. */
  async #reserve({ session, positionsMax, opener }: SessionRequest): Promise<'opened' | 'busy'> {
    for (;;) {
      const room = await this.#watch.ask(this.#options.runner.open(session, positionsMax));
      const over = room === 'busy' ? this.#sessionToEnd(opener) : undefined;
      if (over === undefined) return room;
      await this.end(over, new StageProtocolError('busy', 'others wait, and more than half of the memory was yours'));
    }
  }

  #sessionToEnd(asker: Link): StageSession | undefined {
    const all = [...this.#sessions.values()];
    return all.find(({ door }) => door.givesWay) ?? sessionToEnd(all, asker);
  }

  async #compute(session: StageSession, { step, arrivedMs }: QueuedStep): Promise<Step | undefined> {
    const { runner, width } = this.#options;
    try {
      const waitedMs = this.#nowMs() - arrivedMs;
      if (step.deadlineMs > 0 && waitedMs > step.deadlineMs) {
        throw new StageProtocolError('deadline', `the step waited ${Math.round(waitedMs)} ms here`);
      }
      const { session: id, position, tokens, precision } = step;
      const hidden = unpackHidden(step.payload, { tokens, width, precision });
      const { door } = session;
      // Only the client's own last step may shrink to one row; the next stage needs every position for its cache.
      const wants = door.nextIsStage ? 'all' : step.wants;
      const startMs = this.#nowMs();
      const result = await this.#watch.ask(runner.step({ session: id, position, tokens, hidden, wants }));
      session.positionsHeld = position + tokens;
      this.#count(tokens, this.#nowMs() - startMs);
      // The client left by this door, and may have come in by another: there it waits for other results.
      if (session.door !== door) return undefined;
      return resultStep(step, { result, width, spentMs: this.#nowMs() - arrivedMs });
    } catch (error) {
      void this.end(session, asError(error));
      return undefined;
    }
  }

  /** A neighbour that takes nothing does not keep what waits behind its result for ever. */
  async #deliver(session: StageSession, result: Step): Promise<void> {
    if (this.#sessions.get(session.id) !== session) return;
    const late = new StepTimeoutError(limits.stepMsMax, 'handing a result on');
    const timer = setTimeout(() => void this.end(session, late), limits.stepMsMax);
    try {
      await session.door.deliver(result);
    } catch (error) {
      void this.end(session, asError(error));
    } finally {
      clearTimeout(timer);
    }
  }

  #count(tokens: number, spentMs: number): void {
    this.#positionsServed += tokens;
    if (tokens > 1) return;
    this.#decodeSteps++;
    this.#decodeMs += spentMs;
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** The step as it goes on: the same number, position and wants, with what is left of its deadline. */
function resultStep(step: Step, done: { result: Float32Array; width: number; spentMs: number }): Step {
  return {
    ...step,
    tokens: done.result.length / done.width,
    deadlineMs: step.deadlineMs === 0 ? 0 : Math.max(1, Math.round(step.deadlineMs - done.spentMs)),
    payload: packHidden(done.result, step.precision),
  };
}
