/** What can go wrong between a user and an answer, in words that a person can act on. */
import { spanText, UnfedError, type PeerId, type Span } from '@unfed/protocol';

/** The stages that are there do not cover the model. */
export class NoRouteError extends UnfedError {
  readonly code = 'no-route';
  readonly model: string;
  /** Runs of layers that nobody serves; empty where all are served but no stages fit end to end. */
  readonly missing: readonly Span[];

  constructor(model: string, missing: readonly Span[], served: readonly Span[]) {
    super(noRouteText(model, missing, served));
    this.model = model;
    this.missing = missing;
  }
}

function noRouteText(model: string, missing: readonly Span[], served: readonly Span[]): string {
  if (missing.length > 0) {
    const one = missing.length === 1 && missing[0].last - missing[0].first === 1;
    return `nobody serves ${one ? 'layer' : 'layers'} ${missing.map(spanText).join(', ')} of ${model}; open a page that donates them, or wait for a volunteer`;
  }
  const spans = [...new Set(served.map(spanText))].join(', ');
  return `every layer of ${model} is served, but no stages fit end to end (they serve ${spans}); a volunteer for the gap is needed`;
}

/** Said before anything is sent. */
export class PromptTooLongError extends UnfedError {
  readonly code = 'prompt-too-long';
  readonly promptTokens: number;
  readonly promptTokensMax: number;

  constructor(promptTokens: number, promptTokensMax: number) {
    super(
      `the conversation has ${promptTokens} tokens and this model takes ${promptTokensMax}; shorten it or start a new one`,
    );
    this.promptTokens = promptTokens;
    this.promptTokensMax = promptTokensMax;
  }
}

/** A stage that was part of the route is gone, or stopped answering. What was written stays. */
export class StageLostError extends UnfedError {
  readonly code = 'stage-lost';
  readonly peer: PeerId;
  readonly span: Span;

  constructor(peer: PeerId, span: Span, options?: ErrorOptions) {
    const how = options?.cause instanceof StepTimeoutError ? 'did not answer' : 'left';
    super(`the stage that served layers ${spanText(span)} (${peer.slice(-8)}) ${how}; try again`, options);
    this.peer = peer;
    this.span = span;
  }
}

/** A stage is there and said no: busy, another model, a session that it no longer holds. */
export class StageRefusedError extends UnfedError {
  readonly code = 'stage-refused';
  readonly peer: PeerId;
  readonly span: Span;
  /** The code that the stage gave. */
  readonly reason: string;

  constructor({ peer, span }: { peer: PeerId; span: Span }, reason: string, message: string) {
    super(`the stage that serves layers ${spanText(span)} (${peer.slice(-8)}) refused: ${message}`);
    this.peer = peer;
    this.span = span;
    this.reason = reason;
  }
}

/** A stage did not answer in time. */
export class StepTimeoutError extends UnfedError {
  readonly code = 'step-timeout';
  readonly waitedMs: number;
  /** The stages of which one, nobody knows which, did not pass the step on. */
  readonly suspects: readonly PeerId[];

  constructor(waitedMs: number, what: string, suspects: readonly PeerId[] = []) {
    super(`${what} took longer than ${waitedMs} ms; try again`);
    this.waitedMs = waitedMs;
    this.suspects = suspects;
  }
}

/** A frame breaks a rule of SPEC.md: the session ends, the link may stay. */
export class StageProtocolError extends UnfedError {
  readonly code:
    | 'unknown-session'
    | 'wrong-model'
    | 'wrong-width'
    | 'step-too-long'
    | 'busy'
    | 'deadline'
    | 'next-unknown'
    | 'neighbour-left';

  constructor(code: StageProtocolError['code'], message: string) {
    super(message);
    this.code = code;
  }
}
