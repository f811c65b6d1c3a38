/**
 * The service of a stage: opens sessions for clients, runs steps through the span, and hands each result straight on
 * to the next stage, or back to the client after the last. Rules are numbered in SPEC.md.
 */
import type { SpanRunner } from '@unfed/engine';
import {
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
import { StageProtocolError } from './errors.ts';
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
}

export interface StageService {
  readonly sessions: number;
  readonly positionsServed: number;
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

export function createStageService(options: StageServiceOptions): StageService {
  const { links, runner, manifest, width, directory } = options;
  const nowMs = options.nowMs ?? (() => performance.now());
  const sessions = new Map<SessionId, Session>();
  const opening = new Set<SessionId>();
  const listeners = new Set<() => void>();
  let positionsServed = 0;

  const changed = () => {
    for (const listener of listeners) listener();
  };

  async function open(frame: OpenFrame, opener: Link): Promise<void> {
    checkOpen(frame, opener);
    opening.add(frame.session);
    try {
      const next = frame.next === null ? opener : await dialNext(frame.next);
      if ((await runner.open(frame.session, frame.positionsMax)) === 'busy') {
        throw new StageProtocolError('busy', 'all memory for sessions is taken; another stage may have room');
      }
      const session: Session = {
        id: frame.session,
        opener,
        previous: frame.previous ?? opener.peer,
        next,
        nextIsStage: frame.next !== null,
        queued: 0,
        tail: Promise.resolve(),
      };
      sessions.set(frame.session, session);
      changed();
      await opener.send(encodeControl({ kind: 'opened', session: frame.session }));
    } finally {
      opening.delete(frame.session);
    }
  }

  function checkOpen(frame: OpenFrame, opener: Link): void {
    if (frame.manifest !== manifest) {
      throw new StageProtocolError('wrong-model', `this stage serves ${manifest.slice(0, 8)}…`);
    }
    if (frame.first !== runner.span.first || frame.last !== runner.span.last) {
      throw new StageProtocolError(
        'wrong-model',
        `this stage serves layers [${runner.span.first}, ${runner.span.last})`,
      );
    }
    if (sessions.has(frame.session) || opening.has(frame.session)) {
      throw new StageProtocolError('unknown-session', 'a session of this id is open');
    }
    const ofOpener = [...sessions.values()].filter((session) => session.opener === opener).length;
    if (ofOpener >= limits.sessionsPerLinkMax || opening.size >= limits.sessionsOpeningMax) {
      throw new StageProtocolError('busy', `at most ${limits.sessionsPerLinkMax} sessions a link`);
    }
  }

  async function dialNext(peer: PeerId): Promise<Link> {
    const announcement = directory.announcements().find((a) => a.peer === peer);
    if (announcement === undefined && peer !== links.self) {
      throw new StageProtocolError('next-unknown', `the next stage ${peer.slice(-8)} is not in the directory`);
    }
    const signal = AbortSignal.timeout(limits.routeOpenMsMax);
    return links.open(peer, { addresses: announcement?.addresses ?? [], signal });
  }

  function end(session: Session, error?: Error): void {
    if (!sessions.delete(session.id)) return;
    if (error !== undefined) sendFailed(session.opener, session.id, error);
    void runner.close(session.id).catch(() => undefined);
    changed();
  }

  async function run(session: Session, step: Step, arrivedMs: number): Promise<void> {
    if (sessions.get(session.id) !== session) return;
    try {
      const hidden = unpackHidden(step.payload, { tokens: step.tokens, width, precision: step.precision });
      const waitedMs = nowMs() - arrivedMs;
      if (step.deadlineMs > 0 && waitedMs > step.deadlineMs) {
        throw new StageProtocolError('deadline', `the step waited ${Math.round(waitedMs)} ms here`);
      }
      // Only the client's own last step may shrink to one row; the next stage needs every position for its cache.
      const wants = session.nextIsStage ? 'all' : step.wants;
      const result = await runner.step({
        session: step.session,
        position: step.position,
        tokens: step.tokens,
        hidden,
        wants,
      });
      positionsServed += step.tokens;
      await session.next.send(resultFrame(step, result, nowMs() - arrivedMs));
    } catch (error) {
      end(session, error instanceof Error ? error : new Error(String(error)));
    }
  }

  function resultFrame(step: Step, result: Float32Array, spentMs: number): Uint8Array {
    return encodeStep({
      ...step,
      tokens: result.length / width,
      deadlineMs: step.deadlineMs === 0 ? 0 : Math.max(1, Math.round(step.deadlineMs - spentMs)),
      payload: packHidden(result, step.precision),
    });
  }

  const server: StageServer = {
    onOpen(frame, link) {
      open(frame, link).catch((error: unknown) => {
        sendFailed(link, frame.session, error instanceof Error ? error : new Error(String(error)));
      });
    },
    onClose(id, link) {
      const session = sessions.get(id);
      if (session?.opener === link) end(session);
    },
    onStep(step, link) {
      const session = sessions.get(step.session);
      if (session === undefined) {
        sendFailed(link, step.session, new StageProtocolError('unknown-session', 'this stage holds no such session'));
        return;
      }
      if (link.peer !== session.previous) return;
      if (step.payload.byteLength !== step.tokens * width * bytesPerNumber(step.precision)) {
        end(session, new StageProtocolError('wrong-width', `hidden states of this model are ${width} wide`));
        return;
      }
      if (session.queued >= limits.stepsQueuedMax) {
        end(session, new StageProtocolError('busy', `at most ${limits.stepsQueuedMax} steps may wait`));
        return;
      }
      const arrivedMs = nowMs();
      session.queued++;
      session.tail = session.tail.then(() => run(session, step, arrivedMs)).finally(() => session.queued--);
    },
    onLinkClosed(link) {
      for (const session of [...sessions.values()]) {
        if (session.opener === link) end(session);
        else if (session.next === link || link.peer === session.previous) {
          end(session, new StageProtocolError('unknown-session', 'a neighbouring stage left'));
        }
      }
    },
  };
  const unserve = links.serve(server);

  return {
    get sessions() {
      return sessions.size;
    },
    get positionsServed() {
      return positionsServed;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    stop() {
      unserve();
      const error = new StageProtocolError('busy', 'the volunteer stopped serving');
      for (const session of [...sessions.values()]) end(session, error);
    },
  };
}
