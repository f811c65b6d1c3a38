/**
 * Sessions on their way into a stage: who may open one, the link to the next stage, and the memory. Nothing is kept of
 * those that fail, or whose client leaves meanwhile.
 */
import type { SpanRunner } from '@unfed/engine';
import {
  spanText,
  type Directory,
  type Link,
  type ManifestHash,
  type OpenFrame,
  type PeerId,
  type SessionId,
} from '@unfed/protocol';
import { StageProtocolError, StepTimeoutError } from './errors.ts';
import * as limits from './limits.ts';
import type { StageLinks } from './stage-links.ts';

/** Of a session that is open, what its openers' limits are counted by. */
export interface HeldSession {
  readonly opener: Link;
}

/** A session on its way: its memory, or its link to the next stage, is not there yet. */
interface Opening extends HeldSession {
  readonly abort: AbortController;
}

export interface SessionOpeningsOptions {
  readonly links: Pick<StageLinks, 'self' | 'open'>;
  readonly runner: SpanRunner;
  readonly manifest: ManifestHash;
  readonly directory: Directory;
  readonly held: ReadonlyMap<SessionId, HeldSession>;
  /** Takes the memory. */
  readonly reserve: (frame: OpenFrame, opener: Link) => Promise<'opened' | 'busy'>;
}

export class SessionOpenings {
  readonly #options: SessionOpeningsOptions;
  readonly #opening = new Map<SessionId, Opening>();

  constructor(options: SessionOpeningsOptions) {
    this.#options = options;
  }

  /**
   * @param admit takes the session over, with the link that its results go to, at the moment when it is open
   * @throws StageProtocolError, StepTimeoutError, LinkError, what the runner throws
   */
  async open(frame: OpenFrame, opener: Link, admit: (next: Link) => void): Promise<void> {
    this.#checkFrame(frame);
    this.#checkLimits(opener);
    const { runner, reserve } = this.#options;
    const abort = new AbortController();
    this.#opening.set(frame.session, { opener, abort });
    try {
      const next = frame.next === null ? opener : await this.#dialNext(frame.next, abort);
      if ((await reserve(frame, opener)) === 'busy') {
        throw new StageProtocolError('busy', 'all memory for sessions is taken; another stage may have room');
      }
      // Closed while it opened: nobody would ever close it again.
      if (abort.signal.aborted) await runner.close(frame.session);
      abort.signal.throwIfAborted();
      admit(next);
    } finally {
      this.#opening.delete(frame.session);
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

  #checkFrame(frame: OpenFrame): void {
    const { manifest, runner, held } = this.#options;
    if (frame.manifest !== manifest) {
      throw new StageProtocolError('wrong-model', `this stage serves ${manifest.slice(0, 8)}…`);
    }
    if (frame.first !== runner.span.first || frame.last !== runner.span.last) {
      throw new StageProtocolError('wrong-model', `this stage serves layers ${spanText(runner.span)}`);
    }
    if (held.has(frame.session) || this.#opening.has(frame.session)) {
      throw new StageProtocolError('unknown-session', 'a session of this id is open');
    }
  }

  #checkLimits(opener: Link): void {
    const held = countOf(opener, this.#options.held.values());
    const coming = countOf(opener, this.#opening.values());
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
}

function countOf(opener: Link, sessions: Iterable<HeldSession>): number {
  return [...sessions].filter((session) => session.opener === opener).length;
}

function closedEarly(): StageProtocolError {
  return new StageProtocolError('unknown-session', 'the session was closed while it opened');
}
