/** What can go wrong between a user and an answer, in words that a person can act on. */
import { spanText, UnfedError, type PeerId, type Span } from '@unfed/protocol';

/** The stages that are there do not cover the layers that are asked of them. */
export class NoRouteError extends UnfedError {
  readonly code = 'no-route';
  readonly model: string;
  /** Runs of layers that nobody serves; empty where all are served but no stages fit end to end. */
  readonly missing: readonly Span[];
  /**
   * Runs of layers that are served by such stages alone as also serve layers outside of those asked for: a stage runs
   * its span as a whole. Empty unless the client keeps layers for itself.
   */
  readonly joined: readonly Span[];

  constructor(model: string, gaps: { missing: readonly Span[]; joined: readonly Span[] }, served: readonly Span[]) {
    super(noRouteText(model, gaps, served));
    this.model = model;
    this.missing = gaps.missing;
    this.joined = gaps.joined;
  }
}

function noRouteText(
  model: string,
  { missing, joined }: { missing: readonly Span[]; joined: readonly Span[] },
  served: readonly Span[],
): string {
  if (missing.length > 0) {
    return `nobody serves ${layersText(missing)} of ${model}; open a page that donates them, or wait for a volunteer`;
  }
  const spans = [...new Set(served.map(spanText))].join(', ');
  if (joined.length > 0) {
    return `nobody serves ${layersText(joined)} of ${model} without layers that this client runs itself (they serve ${spans}); run fewer own layers, or wait for a volunteer`;
  }
  return `every layer of ${model} is served, but no stages fit end to end (they serve ${spans}); a volunteer for the gap is needed`;
}

function layersText(runs: readonly Span[]): string {
  const one = runs.length === 1 && runs[0].last - runs[0].first === 1;
  return `${one ? 'layer' : 'layers'} ${runs.map(spanText).join(', ')}`;
}

/** This machine's memory for the caches of own layers is taken. */
export class OwnLayersBusyError extends UnfedError {
  readonly code = 'own-layers-busy';
  readonly span: Span;
  readonly positionsMax: number;

  constructor(span: Span, positionsMax: number) {
    super(
      `this device has no room for ${positionsMax} positions of its own layers ${spanText(span)}; end another conversation, ask for less, or run fewer own layers`,
    );
    this.span = span;
    this.positionsMax = positionsMax;
  }
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
    | 'session-lost'
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
