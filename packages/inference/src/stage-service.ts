/**
 * The service of a stage: opens sessions for clients, runs steps through the span, and hands each result straight on
 * to the next stage, or back to the client after the last. Rules are numbered in SPEC.md.
 */
import type { Directory, SessionId } from '@unfed/protocol';
import { StageProtocolError } from './errors.ts';
import { StageCore, type StageCoreOptions } from './stage-core.ts';
import { StageDirect } from './stage-direct.ts';
import type { StageLinks } from './stage-links.ts';

export interface StageServiceOptions extends StageCoreOptions {
  readonly links: StageLinks;
  /** Where the next stage's addresses come from. */
  readonly directory: Directory;
}

export interface StageService {
  /** For a second door: circuits. */
  readonly core: StageCore;
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

/** A stage, and its door for the direct route. */
export function createStageService(options: StageServiceOptions): StageService {
  const { links, directory } = options;
  const core = new StageCore(options);
  const unserve = links.serve(new StageDirect({ core, links, directory }));
  return {
    core,
    get sessions() {
      return core.sessions.size;
    },
    get sessionIds() {
      return [...core.sessions.keys()];
    },
    get positionsServed() {
      return core.positionsServed;
    },
    get decodeSteps() {
      return core.decodeSteps;
    },
    get decodeMs() {
      return core.decodeMs;
    },
    get stepBytesQueued() {
      return core.stepBytesQueued;
    },
    onChange: (listener) => core.onChange(listener),
    stop() {
      unserve();
      core.stop(new StageProtocolError('busy', 'the volunteer stopped serving'));
    },
  };
}
