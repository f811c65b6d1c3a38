/**
 * Sessions on their way into a stage: who may open one, what must be there before it, and the memory. Nothing is kept of
 * those that fail, or whose client leaves meanwhile.
 */
import type { SpanRunner } from '@unfed/engine';
import { spanText, type Link, type ManifestHash, type SessionId, type Span } from '@unfed/protocol';
import { StageProtocolError } from './errors.ts';
import * as limits from './limits.ts';

/** Of a session that is open, what its openers' limits are counted by. */
export interface HeldSession {
  readonly opener: Link;
}

/** What is asked of a stage. */
export interface SessionRequest extends HeldSession {
  readonly session: SessionId;
  readonly manifest: ManifestHash;
  readonly span: Span;
  /** The KV cache to reserve. */
  readonly positionsMax: number;
  /** Sessions that this opener may hold; default `sessionsPerLinkMax`. */
  readonly sessionsMax?: number;
}

/** A session on its way: its memory, or its link to the next stage, is not there yet. */
interface Opening extends HeldSession {
  readonly abort: AbortController;
}

export interface SessionOpeningsOptions {
  readonly runner: SpanRunner;
  readonly manifest: ManifestHash;
  readonly held: ReadonlyMap<SessionId, HeldSession>;
  /** Takes the memory. */
  readonly reserve: (request: SessionRequest) => Promise<'opened' | 'busy'>;
}

export class SessionOpenings {
  readonly #options: SessionOpeningsOptions;
  readonly #opening = new Map<SessionId, Opening>();

  constructor(options: SessionOpeningsOptions) {
    this.#options = options;
  }

  /**
   * @param prepare what must be there before memory is taken; its signal aborts when the session is closed meanwhile
   * @param admit takes the session over at the moment when it is open
   * @throws StageProtocolError, what `prepare`, `admit` and the runner throw
   */
  async open<T, S>(
    request: SessionRequest,
    prepare: (signal: AbortSignal) => Promise<T>,
    admit: (prepared: T) => S,
  ): Promise<S> {
    this.#checkRequest(request);
    this.#checkLimits(request);
    const { runner, reserve } = this.#options;
    const { session, opener } = request;
    const abort = new AbortController();
    this.#opening.set(session, { opener, abort });
    try {
      const prepared = await prepare(abort.signal);
      if ((await reserve(request)) === 'busy') {
        throw new StageProtocolError('busy', 'all memory for sessions is taken; another stage may have room');
      }
      // Closed while it opened: nobody would ever close it again.
      if (abort.signal.aborted) await runner.close(session);
      abort.signal.throwIfAborted();
      return admit(prepared);
    } finally {
      this.#opening.delete(session);
    }
  }

  close(session: SessionId, opener: Link): void {
    const opening = this.#opening.get(session);
    if (opening?.opener === opener) opening.abort.abort(closedEarly());
  }

  closeAllOf(opener: Link): void {
    for (const opening of this.#opening.values()) if (opening.opener === opener) opening.abort.abort(closedEarly());
  }

  stop(reason: Error): void {
    for (const { abort } of this.#opening.values()) abort.abort(reason);
  }

  #checkRequest({ manifest: asked, span, session }: SessionRequest): void {
    const { manifest, runner, held } = this.#options;
    if (asked !== manifest) {
      throw new StageProtocolError('wrong-model', `this stage serves ${manifest.slice(0, 8)}…`);
    }
    if (span.first !== runner.span.first || span.last !== runner.span.last) {
      throw new StageProtocolError('wrong-model', `this stage serves layers ${spanText(runner.span)}`);
    }
    if (held.has(session) || this.#opening.has(session)) {
      throw new StageProtocolError('unknown-session', 'a session of this id is open');
    }
  }

  #checkLimits({ opener, sessionsMax = limits.sessionsPerLinkMax }: SessionRequest): void {
    const held = countOf(opener, this.#options.held.values());
    const coming = countOf(opener, this.#opening.values());
    if (held + coming >= sessionsMax || coming >= limits.sessionsOpeningPerLinkMax) {
      const most = `${sessionsMax} sessions a link, ${limits.sessionsOpeningPerLinkMax} of them opening`;
      throw new StageProtocolError('busy', `at most ${most}`);
    }
    if (this.#opening.size >= limits.sessionsOpeningMax) {
      throw new StageProtocolError('busy', `at most ${limits.sessionsOpeningMax} sessions may be opening`);
    }
  }
}

function countOf(opener: Link, sessions: Iterable<HeldSession>): number {
  return [...sessions].filter((session) => session.opener === opener).length;
}

function closedEarly(): StageProtocolError {
  return new StageProtocolError('unknown-session', 'the session was closed while it opened');
}
