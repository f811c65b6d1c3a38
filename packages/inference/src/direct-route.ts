/**
 * The direct route, for trusted rooms and tests: the client opens a session at every stage itself; steps go to the first
 * stage, straight from stage to stage, and from the last back to the client. Every stage sees who asks.
 */
import {
  asError,
  encodeControl,
  encodeStep,
  randomSessionId,
  startDeadline,
  type ControlFrame,
  type Directory,
  type Link,
  type ManifestHash,
  type PeerId,
  type Precision,
  type SessionId,
  type Step,
  type UnfedError,
} from '@unfed/protocol';
import { StageLostError, StageRefusedError, StepTimeoutError } from './errors.ts';
import { packHidden, unpackHidden } from './hidden-states.ts';
import * as limits from './limits.ts';
import type { Hop, Route, RouteStep } from './route.ts';
import type { SessionClient, StageLinks } from './stage-links.ts';

export interface DirectRouteOptions {
  readonly links: StageLinks;
  readonly directory: Directory;
  /** The stages in order, as `planRoute` gives them. */
  readonly hops: readonly Hop[];
  readonly manifest: ManifestHash;
  readonly width: number;
  /** KV cache to reserve at every stage. */
  readonly positionsMax: number;
  readonly precision: Precision;
  readonly signal?: AbortSignal;
}

/** @throws StageLostError, StageRefusedError, StepTimeoutError, LinkError, the signal's reason */
export async function openDirectRoute(options: DirectRouteOptions): Promise<Route> {
  const route = new DirectRoute(options);
  try {
    await route.open(options);
  } catch (error) {
    route.close();
    throw error;
  }
  return route;
}

interface Waiting {
  /** Positions that were asked back. */
  readonly rows: number;
  readonly resolve: (hidden: Float32Array<ArrayBuffer>) => void;
  readonly reject: (error: UnfedError) => void;
  readonly expires: ReturnType<typeof setTimeout>;
}

class DirectRoute implements Route, SessionClient {
  readonly hops: readonly Hop[];
  readonly positionsMax: number;
  readonly #session: SessionId = randomSessionId();
  readonly #width: number;
  readonly #precision: Precision;
  readonly #remove: () => void;
  readonly #links: Link[] = [];
  readonly #waiting = new Map<number, Waiting>();
  readonly #opened = new Set<PeerId>();
  #onOpened: () => void = () => undefined;
  #onFailedOpen: (error: UnfedError) => void = () => undefined;
  #failure: UnfedError | undefined;
  #closed = false;
  #number = 0;

  constructor({ links, hops, width, positionsMax, precision }: DirectRouteOptions) {
    this.hops = hops;
    this.positionsMax = positionsMax;
    this.#width = width;
    this.#precision = precision;
    this.#remove = links.addClient(this.#session, this);
  }

  get alive(): boolean {
    return !this.#closed && this.#failure === undefined;
  }

  async open(options: DirectRouteOptions): Promise<void> {
    const { signal } = options;
    const late = new StepTimeoutError(limits.routeOpenMsMax, 'opening the route');
    const deadline = startDeadline(limits.routeOpenMsMax, late, signal);
    try {
      this.#links.push(...(await this.#dial(options, deadline.signal)));
      // A stage may leave while another is dialled.
      if (this.#failure !== undefined) throw this.#failure;
      const answered = new Promise<void>((resolve, reject) => {
        this.#onOpened = resolve;
        this.#onFailedOpen = reject;
        deadline.signal.addEventListener('abort', () => {
          const silent = this.hops.find(({ peer }) => !this.#opened.has(peer)) ?? this.#lastHop;
          const lost = new StageLostError(silent.peer, silent.span, { cause: late });
          reject(signal?.aborted === true ? asError(signal.reason) : lost);
        });
      });
      const frames = this.hops.map((hop, i) => this.#send(i, this.#openFrame(i, options.manifest), hop));
      await Promise.all([answered, ...frames]);
    } finally {
      deadline.end();
    }
  }

  /** @throws StageLostError naming the stage that cannot be reached, the caller's reason */
  #dial({ links, directory, signal }: DirectRouteOptions, inTime: AbortSignal): Promise<Link[]> {
    const addresses = new Map(directory.announcements().map((a) => [a.peer, a.addresses]));
    const dialled = this.hops.map(async ({ peer, span }) => {
      try {
        return await links.open(peer, { addresses: addresses.get(peer) ?? [], signal: inTime });
      } catch (cause) {
        signal?.throwIfAborted();
        throw new StageLostError(peer, span, { cause });
      }
    });
    return Promise.all(dialled);
  }

  get #lastHop(): Hop {
    return this.hops[this.hops.length - 1];
  }

  get resultsFrom(): PeerId {
    return this.#lastHop.peer;
  }

  async #send(index: number, frame: Uint8Array, { peer, span }: Hop): Promise<void> {
    try {
      await this.#links[index].send(frame);
    } catch (cause) {
      throw new StageLostError(peer, span, { cause });
    }
  }

  #openFrame(index: number, manifest: ManifestHash): Uint8Array {
    const { span } = this.hops[index];
    return encodeControl({
      kind: 'open',
      session: this.#session,
      manifest,
      first: span.first,
      last: span.last,
      positionsMax: this.positionsMax,
      previous: index === 0 ? null : this.hops[index - 1].peer,
      next: index === this.hops.length - 1 ? null : this.hops[index + 1].peer,
    });
  }

  step(step: RouteStep): Promise<Float32Array<ArrayBuffer>> {
    if (!this.alive) return Promise.reject(this.#failure ?? new StageLostError(this.#lastHop.peer, this.#lastHop.span));
    const number = this.#number++;
    const frame = encodeStep({
      session: this.#session,
      number,
      position: step.position,
      tokens: step.tokens,
      wants: step.wants,
      precision: this.#precision,
      deadlineMs: limits.stepMsMax,
      payload: packHidden(step.hidden, this.#precision),
    });
    return new Promise((resolve, reject) => {
      const expires = setTimeout(() => this.#fail(this.#stepTimeout()), limits.stepMsMax);
      const rows = step.wants === 'all' ? step.tokens : 1;
      this.#waiting.set(number, { rows, resolve, reject, expires });
      this.#send(0, frame, this.hops[0]).catch((error: unknown) => this.#fail(error as UnfedError));
    });
  }

  onControl(frame: Extract<ControlFrame, { kind: 'opened' | 'failed' }>, from: PeerId): void {
    const hop = this.hops.find(({ peer }) => peer === from);
    if (hop === undefined) return;
    if (frame.kind === 'failed') {
      this.#fail(new StageRefusedError(hop, frame.code, frame.message));
      return;
    }
    this.#opened.add(from);
    if (this.#opened.size === this.hops.length) this.#onOpened();
  }

  onResult(step: Step): void {
    const waiting = this.#waiting.get(step.number);
    // A late result of a step that was given up is nobody's.
    if (waiting === undefined) return;
    try {
      const { rows: tokens } = waiting;
      const hidden = unpackHidden(step.payload, { tokens, width: this.#width, precision: step.precision });
      this.#waiting.delete(step.number);
      clearTimeout(waiting.expires);
      waiting.resolve(hidden);
    } catch (error) {
      this.#fail(new StageRefusedError(this.#lastHop, 'wrong-result', (error as UnfedError).message));
    }
  }

  onLinkClosed(peer: PeerId): void {
    const hop = this.hops.find((candidate) => candidate.peer === peer);
    if (hop !== undefined) this.#fail(new StageLostError(peer, hop.span));
  }

  /** Results come from the last stage alone: which one kept a step is not known, unless there is only one. */
  #stepTimeout(): UnfedError {
    const suspects = this.hops.map(({ peer }) => peer);
    const timeout = new StepTimeoutError(limits.stepMsMax, 'a step', suspects);
    const { peer, span } = this.#lastHop;
    return this.hops.length === 1 ? new StageLostError(peer, span, { cause: timeout }) : timeout;
  }

  #fail(error: UnfedError): void {
    if (this.#failure !== undefined || this.#closed) return;
    this.#failure = error;
    this.#onFailedOpen(error);
    this.#rejectWaiting(error);
    this.close();
  }

  #rejectWaiting(error: UnfedError): void {
    for (const waiting of this.#waiting.values()) {
      clearTimeout(waiting.expires);
      waiting.reject(error);
    }
    this.#waiting.clear();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#remove();
    const frame = encodeControl({ kind: 'close', session: this.#session });
    for (const link of this.#links) {
      void link.send(frame).catch(() => {
        // The stage left; its session went with it.
      });
    }
    this.#rejectWaiting(this.#failure ?? new StageLostError(this.#lastHop.peer, this.#lastHop.span));
  }
}
