/**
 * The door of a stage for clients of the direct route: each opens its session over a link of its own, and names who sends
 * the steps and who takes the results.
 */
import {
  encodeControl,
  encodeStep,
  type Directory,
  type Link,
  type OpenFrame,
  type PeerId,
  type SessionId,
  type Step,
} from '@unfed/protocol';
import { StageProtocolError } from './errors.ts';
import type { SessionDoor, StageCore } from './stage-core.ts';
import { dialAnnounced } from './stage-dial.ts';
import { stageFailure } from './stage-failure.ts';
import { sendFailed, type StageLinks, type StageServer } from './stage-links.ts';

export interface StageDirectOptions {
  readonly core: StageCore;
  readonly links: StageLinks;
  /** Where the next stage's addresses come from. */
  readonly directory: Directory;
}

/** Who hands steps of a session in, and the link by which results go out. */
interface Neighbours {
  readonly previous: PeerId;
  readonly next: Link;
}

export class StageDirect implements StageServer {
  readonly #options: StageDirectOptions;
  readonly #neighbours = new WeakMap<SessionDoor, Neighbours>();

  constructor(options: StageDirectOptions) {
    this.#options = options;
  }

  onOpen(frame: OpenFrame, link: Link): void {
    this.#open(frame, link).catch((error: unknown) => sendFailed(link, frame.session, stageFailure(error)));
  }

  onClose(id: SessionId, link: Link): void {
    const { core } = this.#options;
    const session = core.sessions.get(id);
    if (session?.opener === link) void core.end(session);
    core.openings.close(id, link);
  }

  onStep(step: Step, link: Link): void {
    const session = this.#options.core.sessions.get(step.session);
    const neighbours = session === undefined ? undefined : this.#neighbours.get(session.door);
    if (session === undefined || neighbours === undefined) {
      const error = new StageProtocolError('unknown-session', 'this stage holds no such session');
      sendFailed(link, step.session, stageFailure(error));
      return;
    }
    if (link.peer === neighbours.previous) this.#options.core.push(session, step, link);
  }

  onLinkClosed(link: Link): void {
    const { core } = this.#options;
    core.openings.closeAllOf(link);
    for (const session of [...core.sessions.values()]) {
      const neighbours = this.#neighbours.get(session.door);
      if (neighbours === undefined) continue;
      if (session.opener === link) void core.end(session);
      else if (neighbours.next === link || link.peer === neighbours.previous) {
        void core.end(session, new StageProtocolError('neighbour-left', 'a neighbouring stage left'));
      }
    }
  }

  async #open(frame: OpenFrame, opener: Link): Promise<void> {
    const { session: id, manifest, first, last, positionsMax } = frame;
    const request = { session: id, manifest, span: { first, last }, positionsMax, opener };
    await this.#options.core.open(request, async (signal) => {
      const next = frame.next === null ? opener : await dialAnnounced(this.#options, frame.next, signal);
      const door: SessionDoor = {
        nextIsStage: frame.next !== null,
        deliver: (result) => next.send(encodeStep(result)),
        failed: (error) => sendFailed(opener, id, stageFailure(error)),
      };
      this.#neighbours.set(door, { previous: frame.previous ?? opener.peer, next });
      return door;
    });
    await opener.send(encodeControl({ kind: 'opened', session: id }));
  }
}
