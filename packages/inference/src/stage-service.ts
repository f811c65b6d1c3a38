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
  spanText,
  UnfedError,
  type Directory,
  type Link,
  type ManifestHash,
  type OpenFrame,
  type PeerId,
  type SessionId,
  type Step,
} from '@unfed/protocol';
import { StageProtocolError, StepTimeoutError } from './errors.ts';
import { packHidden, unpackHidden } from './hidden-states.ts';
import * as limits from './limits.ts';
import { sendFailed, type StageLinks, type StageServer } from './stage-links.ts';

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
  /** Steps that wait or run. */
  queued: number;
  tail: Promise<void>;
}

/** A session on its way: its memory, or its link to the next stage, is not there yet. */
interface Opening {
  readonly opener: Link;
  readonly abort: AbortController;
}

export function createStageService(options: StageServiceOptions): StageService {
  return new Stage(options);
}

class Stage implements StageService, StageServer {
  readonly #options: StageServiceOptions;
  readonly #nowMs: () => number;
  readonly #sessions = new Map<SessionId, Session>();
  readonly #opening = new Map<SessionId, Opening>();
  readonly #listeners = new Set<() => void>();
  readonly #unserve: () => void;
  #positionsServed = 0;
  #decodeSteps = 0;
  #decodeMs = 0;
  #failuresInRow = 0;
  #lost = false;

  constructor(options: StageServiceOptions) {
    this.#options = options;
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

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  stop(): void {
    this.#unserve();
    const error = new StageProtocolError('busy', 'the volunteer stopped serving');
    for (const { abort } of this.#opening.values()) abort.abort(error);
    for (const session of [...this.#sessions.values()]) this.#end(session, error);
  }

  onOpen(frame: OpenFrame, link: Link): void {
    this.#open(frame, link).catch((error: unknown) => sendFailed(link, frame.session, asError(error)));
  }

  onClose(id: SessionId, link: Link): void {
    const session = this.#sessions.get(id);
    if (session?.opener === link) this.#end(session);
    const opening = this.#opening.get(id);
    if (opening?.opener === link) opening.abort.abort(closedEarly());
  }

  onStep(step: Step, link: Link): void {
    const session = this.#sessions.get(step.session);
    if (session === undefined) {
      const error = new StageProtocolError('unknown-session', 'this stage holds no such session');
      sendFailed(link, step.session, error);
      return;
    }
    if (link.peer !== session.previous) return;
    const { width } = this.#options;
    if (step.payload.byteLength !== step.tokens * width * bytesPerNumber(step.precision)) {
      this.#end(session, new StageProtocolError('wrong-width', `hidden states of this model are ${width} wide`));
      return;
    }
    if (session.queued >= limits.stepsQueuedMax) {
      this.#end(session, new StageProtocolError('busy', `at most ${limits.stepsQueuedMax} steps may wait`));
      return;
    }
    const arrivedMs = this.#nowMs();
    session.queued++;
    session.tail = session.tail.then(() => this.#run(session, step, arrivedMs)).finally(() => session.queued--);
  }

  onLinkClosed(link: Link): void {
    for (const { opener, abort } of this.#opening.values()) if (opener === link) abort.abort(closedEarly());
    for (const session of [...this.#sessions.values()]) {
      if (session.opener === link) this.#end(session);
      else if (session.next === link || link.peer === session.previous) {
        this.#end(session, new StageProtocolError('neighbour-left', 'a neighbouring stage left'));
      }
    }
  }

  async #open(frame: OpenFrame, opener: Link): Promise<void> {
    this.#checkOpen(frame, opener);
    const { runner } = this.#options;
    const abort = new AbortController();
    this.#opening.set(frame.session, { opener, abort });
    try {
      const next = frame.next === null ? opener : await this.#dialNext(frame.next, abort);
      const room = await this.#ask(() => runner.open(frame.session, frame.positionsMax));
      if (room === 'busy') {
        throw new StageProtocolError('busy', 'all memory for sessions is taken; another stage may have room');
      }
      // Closed while it opened: nobody would ever close it again.
      if (abort.signal.aborted) await runner.close(frame.session);
      abort.signal.throwIfAborted();
      this.#sessions.set(frame.session, {
        id: frame.session,
        opener,
        previous: frame.previous ?? opener.peer,
        next,
        nextIsStage: frame.next !== null,
        queued: 0,
        tail: Promise.resolve(),
      });
      this.#changed();
      await opener.send(encodeControl({ kind: 'opened', session: frame.session }));
    } finally {
      this.#opening.delete(frame.session);
    }
  }

  #checkOpen(frame: OpenFrame, opener: Link): void {
    const { manifest, runner } = this.#options;
    if (frame.manifest !== manifest) {
      throw new StageProtocolError('wrong-model', `this stage serves ${manifest.slice(0, 8)}…`);
    }
    if (frame.first !== runner.span.first || frame.last !== runner.span.last) {
      throw new StageProtocolError('wrong-model', `this stage serves layers ${spanText(runner.span)}`);
    }
    if (this.#sessions.has(frame.session) || this.#opening.has(frame.session)) {
      throw new StageProtocolError('unknown-session', 'a session of this id is open');
    }
    const held = [...this.#sessions.values()].filter((session) => session.opener === opener).length;
    const coming = [...this.#opening.values()].filter((opening) => opening.opener === opener).length;
    if (held + coming >= limits.sessionsPerLinkMax || coming >= limits.sessionsOpeningPerLinkMax) {
      const most = `${limits.sessionsPerLinkMax} sessions a link, ${limits.sessionsOpeningPerLinkMax} of them opening`;
      throw new StageProtocolError('busy', `at most ${most}`);
    }
    if (this.#opening.size >= limits.sessionsOpeningMax) {
      throw new StageProtocolError('busy', `at most ${limits.sessionsOpeningMax} sessions may be opening`);
    }
  }

  async #dialNext(peer: PeerId, abort: AbortController): Promise<Link> {
    const { directory, links } = this.#options;
    const announcement = directory.announcements().find((a) => a.peer === peer);
    if (announcement === undefined && peer !== links.self) {
      throw new StageProtocolError('next-unknown', `the next stage ${peer.slice(-8)} is not in the directory`);
    }
    const late = new StepTimeoutError(limits.nextDialMsMax, `dialling the next stage ${peer.slice(-8)}`);
    const timer = setTimeout(() => abort.abort(late), limits.nextDialMsMax);
    try {
      return await links.open(peer, { addresses: announcement?.addresses ?? [], signal: abort.signal });
    } finally {
      clearTimeout(timer);
    }
  }

  #end(session: Session, error?: Error): void {
    if (!this.#sessions.delete(session.id)) return;
    if (error !== undefined) sendFailed(session.opener, session.id, error);
    // What the runner cannot free, it frees when it is disposed of.
    void this.#options.runner.close(session.id).catch(() => undefined);
    this.#changed();
  }

  async #run(session: Session, step: Step, arrivedMs: number): Promise<void> {
    if (this.#sessions.get(session.id) !== session) return;
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
      const result = await this.#ask(() => runner.step({ session: id, position, tokens, hidden, wants }));
      this.#count(tokens, this.#nowMs() - startMs);
      await session.next.send(resultFrame(step, { result, width, spentMs: this.#nowMs() - arrivedMs }));
    } catch (error) {
      this.#end(session, asError(error));
    }
  }

  /** Notices a runner that will never answer again: one failed run may be the fault of what was asked, several are not. */
  async #ask<T>(work: () => Promise<T>): Promise<T> {
    try {
      const answer = await work();
      this.#failuresInRow = 0;
      return answer;
    } catch (error) {
      const code = error instanceof UnfedError ? error.code : undefined;
      if (code === 'runtime-failed') this.#failuresInRow++;
      if (!this.#lost && (code === 'device-lost' || this.#failuresInRow >= limits.runnerFailuresMax)) {
        this.#lost = true;
        this.#options.onRunnerLost?.(asError(error));
      }
      throw error;
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

function closedEarly(): StageProtocolError {
  return new StageProtocolError('unknown-session', 'the session was closed while it opened');
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
