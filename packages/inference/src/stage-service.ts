/**
 * The service of a stage: opens sessions for clients, runs steps through the span, and hands each result straight on
 * to the next stage, or back to the client after the last. Rules are numbered in SPEC.md.
 */
import type { SpanRunner } from '@unfed/engine';
import {
  asError,
  bytesPerNumber,
  encodeControl,
  encodeStep,
  type Directory,
  type Link,
  type ManifestHash,
  type OpenFrame,
  type PeerId,
  type SessionId,
  type Step,
} from '@unfed/protocol';
import { sessionToEnd } from './cache-share.ts';
import { StageProtocolError, StepTimeoutError } from './errors.ts';
import { packHidden, unpackHidden } from './hidden-states.ts';
import * as limits from './limits.ts';
import { RunnerWatch } from './runner-watch.ts';
import { SessionOpenings } from './session-openings.ts';
import { stageFailure } from './stage-failure.ts';
import { sendFailed, type StageLinks, type StageServer } from './stage-links.ts';
import { StepBudget, StepQueue, type QueuedStep } from './step-queue.ts';

export interface StageServiceOptions {
  readonly links: StageLinks;
  readonly runner: SpanRunner;
  readonly manifest: ManifestHash;
  /** Width of the hidden states. */
  readonly width: number;
  /** Where the next stage's addresses come from. */
  readonly directory: Directory;
  readonly nowMs?: () => number;
  /** The runner cannot go on (a lost GPU, a dead worker): whoever announces this stage should stop. Called once. */
  readonly onRunnerLost?: (error: Error) => void;
}

export interface StageService {
  readonly sessions: number;
  readonly sessionIds: readonly SessionId[];
  readonly positionsServed: number;
  /** Steps of one position that were computed, and the time that computing them took in all. */
  readonly decodeSteps: number;
  readonly decodeMs: number;
  /** Of steps that wait or run, all sessions together. */
  readonly stepBytesQueued: number;
  onChange(listener: () => void): () => void;
  /** Ends every session, tells their clients, and takes no more. */
  stop(): void;
}

interface Session {
  readonly id: SessionId;
  /** The client's link: failures go there. */
  readonly opener: Link;
  readonly previous: PeerId;
  /** Where results go: the next stage, or the opener. */
  readonly next: Link;
  readonly nextIsStage: boolean;
  readonly positionsMax: number;
  readonly steps: StepQueue;
  lastUsedMs: number;
}

export function createStageService(options: StageServiceOptions): StageService {
  return new Stage(options);
}

class Stage implements StageService, StageServer {
  readonly #options: StageServiceOptions;
  readonly #nowMs: () => number;
  readonly #sessions = new Map<SessionId, Session>();
  readonly #openings: SessionOpenings;
  readonly #budget = new StepBudget();
  readonly #watch: RunnerWatch;
  readonly #listeners = new Set<() => void>();
  readonly #unserve: () => void;
  #positionsServed = 0;
  #decodeSteps = 0;
  #decodeMs = 0;

  constructor(options: StageServiceOptions) {
    this.#options = options;
    this.#watch = new RunnerWatch((error) => options.onRunnerLost?.(error));
    this.#openings = new SessionOpenings({
      ...options,
      held: this.#sessions,
      reserve: (frame, opener) => this.#reserve(frame, opener),
    });
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#unserve = options.links.serve(this);
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  get sessionIds(): readonly SessionId[] {
    return [...this.#sessions.keys()];
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

  stop(): void {
    this.#unserve();
    const error = new StageProtocolError('busy', 'the volunteer stopped serving');
    this.#openings.stop(error);
    for (const session of [...this.#sessions.values()]) void this.#end(session, error);
  }

  onOpen(frame: OpenFrame, link: Link): void {
    this.#open(frame, link).catch((error: unknown) => sendFailed(link, frame.session, stageFailure(error)));
  }

  onClose(id: SessionId, link: Link): void {
    const session = this.#sessions.get(id);
    if (session?.opener === link) void this.#end(session);
    this.#openings.close(id, link);
  }

  onStep(step: Step, link: Link): void {
    const session = this.#sessions.get(step.session);
    if (session === undefined) {
      const error = new StageProtocolError('unknown-session', 'this stage holds no such session');
      sendFailed(link, step.session, stageFailure(error));
      return;
    }
    if (link.peer !== session.previous) return;
    const refusal = this.#refusal(step);
    if (refusal !== undefined) {
      void this.#end(session, refusal);
      return;
    }
    session.lastUsedMs = this.#nowMs();
    const full = session.steps.push({ step, link, arrivedMs: session.lastUsedMs });
    if (full !== undefined) void this.#end(session, new StageProtocolError('busy', full));
  }

  #refusal({ tokens, payload, precision }: Step): StageProtocolError | undefined {
    const { width } = this.#options;
    if (payload.byteLength !== tokens * width * bytesPerNumber(precision)) {
      return new StageProtocolError('wrong-width', `hidden states of this model are ${width} wide`);
    }
    const max = limits.prefillStepPositionsMax;
    return tokens > max ? new StageProtocolError('step-too-long', `a step takes at most ${max} positions`) : undefined;
  }

  onLinkClosed(link: Link): void {
    this.#openings.closeAllOf(link);
    for (const session of [...this.#sessions.values()]) {
      if (session.opener === link) void this.#end(session);
      else if (session.next === link || link.peer === session.previous) {
        void this.#end(session, new StageProtocolError('neighbour-left', 'a neighbouring stage left'));
      }
    }
  }

  async #open(frame: OpenFrame, opener: Link): Promise<void> {
    await this.#openings.open(frame, opener, (next) => {
      const session: Session = {
        id: frame.session,
        opener,
        previous: frame.previous ?? opener.peer,
        next,
        nextIsStage: frame.next !== null,
        positionsMax: frame.positionsMax,
        lastUsedMs: this.#nowMs(),
        steps: new StepQueue(this.#budget, {
          compute: (queued) => this.#compute(session, queued),
          deliver: (result) => this.#deliver(session, result),
        }),
      };
      this.#sessions.set(frame.session, session);
      this.#changed();
    });
    await opener.send(encodeControl({ kind: 'opened', session: frame.session }));
  }

  /** Where there is no room, sessions of whoever holds more than its share end, until there is. */
  async #reserve({ session, positionsMax }: OpenFrame, opener: Link): Promise<'opened' | 'busy'> {
    for (;;) {
      const room = await this.#watch.ask(this.#options.runner.open(session, positionsMax));
      const over = room === 'busy' ? sessionToEnd(this.#sessions.values(), opener) : undefined;
      if (over === undefined) return room;
      await this.#end(over, new StageProtocolError('busy', 'others wait, and more than half of the memory was yours'));
    }
  }

  #end(session: Session, error?: Error): Promise<void> {
    if (!this.#sessions.delete(session.id)) return Promise.resolve();
    session.steps.clear();
    if (error !== undefined) sendFailed(session.opener, session.id, stageFailure(error));
    this.#changed();
    // What the runner cannot free, it frees when it is disposed of.
    return this.#options.runner.close(session.id).catch(() => undefined);
  }

  async #compute(session: Session, { step, arrivedMs }: QueuedStep): Promise<Uint8Array | undefined> {
    const { runner, width } = this.#options;
    try {
      const waitedMs = this.#nowMs() - arrivedMs;
      if (step.deadlineMs > 0 && waitedMs > step.deadlineMs) {
        throw new StageProtocolError('deadline', `the step waited ${Math.round(waitedMs)} ms here`);
      }
      const { session: id, position, tokens, precision } = step;
      const hidden = unpackHidden(step.payload, { tokens, width, precision });
      // Only the client's own last step may shrink to one row; the next stage needs every position for its cache.
      const wants = session.nextIsStage ? 'all' : step.wants;
      const startMs = this.#nowMs();
      const result = await this.#watch.ask(runner.step({ session: id, position, tokens, hidden, wants }));
      this.#count(tokens, this.#nowMs() - startMs);
      return resultFrame(step, { result, width, spentMs: this.#nowMs() - arrivedMs });
    } catch (error) {
      void this.#end(session, asError(error));
      return undefined;
    }
  }

  /** A neighbour that takes nothing does not keep what waits behind its result for ever. */
  async #deliver(session: Session, frame: Uint8Array): Promise<void> {
    if (this.#sessions.get(session.id) !== session) return;
    const late = new StepTimeoutError(limits.stepMsMax, 'handing a result on');
    const timer = setTimeout(() => void this.#end(session, late), limits.stepMsMax);
    try {
      await session.next.send(frame);
    } catch (error) {
      void this.#end(session, asError(error));
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
function resultFrame(step: Step, done: { result: Float32Array; width: number; spentMs: number }): Uint8Array {
  return encodeStep({
    ...step,
    tokens: done.result.length / done.width,
    deadlineMs: step.deadlineMs === 0 ? 0 : Math.max(1, Math.round(step.deadlineMs - done.spentMs)),
    payload: packHidden(done.result, step.precision),
  });
}
