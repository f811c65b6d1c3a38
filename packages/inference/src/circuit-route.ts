/**
 * The route by a circuit: through a guard and forwarders to the stages, so that none of them learns who asks. Built hop
 * by hop; a step goes to the first stage, straight from stage to stage, and its result back by the rendezvous.
 */
import {
  cellsOf,
  ClientCircuit,
  cookieBytes,
  limits as circuitLimits,
  resumeProof,
  secureRandom,
  CircuitError,
  type CircuitReason,
  type ClientOutputs,
  type RandomBytes,
  type Role,
} from '@unfed/circuit';
import {
  asError,
  bytesPerNumber,
  decodeStageFrame,
  encodeStep,
  hexToBytes,
  InvalidValueError,
  startDeadline,
  stepHeaderBytes,
  type Announcement,
  type Directory,
  type Link,
  type ManifestHash,
  type PeerId,
  type Precision,
  type SessionId,
  type UnfedError,
  type WireError,
} from '@unfed/protocol';
import { HopLostError } from './circuit-errors.ts';
import type { CircuitLinks } from './circuit-links.ts';
import { coverMessage, isCover, StepWindow, type WaitingStep } from './circuit-steps.ts';
import { StageLostError, StageRefusedError, StepTimeoutError } from './errors.ts';
import { packHidden, unpackHidden } from './hidden-states.ts';
import * as limits from './limits.ts';
import type { Hop, Route, RouteStep } from './route.ts';

/** The hops of a circuit, as `chooseCircuitPath` of `@unfed/client` gives them. */
export interface CircuitHops {
  readonly guard: PeerId;
  /** Behind the guard, in order; at most two. */
  readonly forwarders: readonly PeerId[];
  readonly stages: readonly Hop[];
}

/** What proves to stages that a later circuit is by the same client. */
export interface ResumableSession {
  readonly hop: Hop;
  readonly session: SessionId;
  readonly secret: Uint8Array;
}

export interface CircuitRouteOptions {
  /** Of the node that asks: its link to the guard is the only one that is used. */
  readonly links: CircuitLinks;
  readonly directory: Directory;
  readonly path: CircuitHops;
  readonly manifest: ManifestHash;
  readonly width: number;
  /** KV cache to reserve at every stage. */
  readonly positionsMax: number;
  readonly precision: Precision;
  readonly signal?: AbortSignal;
  /** Sessions of a route that broke, at the same stages: what they hold need not be sent again. */
  readonly resume?: readonly ResumableSession[];
  readonly random?: RandomBytes;
}

export interface CircuitRoute extends Route {
  readonly path: CircuitHops;
  /** Positions that every stage holds from a session that was resumed; 0 for a new one. */
  readonly held: number;
  /** For a later route over the same stages, should this one break. */
  readonly sessions: readonly ResumableSession[];
  /** Cover: a loop to a hop (0 is the guard) and back, which on the links looks like any other cell. */
  loop(hop: number): void;
  /** Cover: goes where a step of one position goes, and is computed nowhere. One at a time. */
  dummyStep(): void;
}

/**
 * A stage that lost a session that was to be resumed makes this begin anew, without.
 * @throws HopLostError, StageLostError, StageRefusedError, the signal's reason
 */
export async function openCircuitRoute(options: CircuitRouteOptions): Promise<CircuitRoute> {
  try {
    return await buildRoute(options);
  } catch (error) {
    const lost = error instanceof StageRefusedError && error.reason === 'session-lost';
    if (!lost || options.resume === undefined) throw error;
    return buildRoute({ ...options, resume: undefined });
  }
}

async function buildRoute(options: CircuitRouteOptions): Promise<CircuitRoute> {
  const { path, links, directory, signal } = options;
  const late = new StepTimeoutError(limits.routeOpenMsMax, 'building the circuit');
  const deadline = startDeadline(limits.routeOpenMsMax, late, signal);
  let route: BuiltRoute | undefined;
  try {
    const addresses = announcementOf(directory, path.guard)?.addresses ?? [];
    const link = await links.open(path.guard, { addresses, signal: deadline.signal });
    route = new BuiltRoute(options, link);
    await route.build(deadline.signal);
    return route;
  } catch (cause) {
    route?.close();
    signal?.throwIfAborted();
    if (route === undefined) throw new HopLostError('unreachable', [path.guard], { cause });
    throw cause;
  } finally {
    deadline.end();
  }
}

function announcementOf(directory: Directory, peer: PeerId): Announcement | undefined {
  return directory.announcements().find((each) => each.peer === peer);
}

const noSession = '0'.repeat(32) as SessionId;

class BuiltRoute implements CircuitRoute, ClientOutputs {
  readonly path: CircuitHops;
  readonly hops: readonly Hop[];
  readonly positionsMax: number;
  readonly #options: CircuitRouteOptions;
  readonly #random: RandomBytes;
  readonly #link: Link;
  readonly #circuit: ClientCircuit;
  readonly #remove: () => void;
  /** All hops: the guard, the forwarders, the stages. */
  readonly #peers: readonly PeerId[];
  readonly #steps: StepWindow;
  readonly #sessions: ResumableSession[] = [];
  #held: number;
  #extending: { readonly resolve: (held: number) => void; readonly reject: (error: Error) => void } | undefined;
  #failure: UnfedError | undefined;
  #closed = false;
  #loops = 0;
  /** A dummy step is on its way. */
  #covering = false;

  constructor(options: CircuitRouteOptions, link: Link) {
    const { path, positionsMax, random = secureRandom, links } = options;
    this.path = path;
    this.hops = path.stages;
    this.positionsMax = positionsMax;
    this.#options = options;
    this.#random = random;
    this.#link = link;
    this.#peers = [path.guard, ...path.forwarders, ...path.stages.map(({ peer }) => peer)];
    this.#held = options.resume === undefined ? 0 : positionsMax;
    const { client, remove } = links.addClient(link, (id) => new ClientCircuit({ id, random, outputs: this }));
    this.#circuit = client;
    this.#remove = remove;
    this.#steps = new StepWindow(circuitLimits.windowCells, (waiting) => this.#transmit(waiting));
  }

  get alive(): boolean {
    return !this.#closed && this.#failure === undefined;
  }

  get held(): number {
    return this.#held;
  }

  get sessions(): readonly ResumableSession[] {
    return this.#sessions;
  }

  /** @throws HopLostError, StageLostError, StageRefusedError, the signal's reason */
  async build(signal: AbortSignal): Promise<void> {
    const { guard, forwarders, stages } = this.path;
    for (const peer of [guard, ...forwarders]) await this.#extend(peer, { role: 'forward' }, signal);
    const cookie = this.#random(cookieBytes);
    // Not waited for: what follows on the same way comes after it.
    this.#circuit.establish(cookie, stages[stages.length - 1].peer);
    const between = stages.slice(1).map(() => this.#random(32));
    const last = this.#peers[forwarders.length];
    for (const [i, hop] of stages.entries()) {
      const next = i === stages.length - 1 ? { peer: last, cookie } : { key: between[i] };
      const role = this.#stageRole(hop, { previous: i === 0 ? null : between[i - 1], next });
      this.#held = Math.min(this.#held, await this.#extend(hop.peer, role, signal));
      const { session, resume: secret } = this.#circuit.sessionOf(1 + forwarders.length + i);
      this.#sessions.push({ hop, session, secret });
    }
  }

  #stageRole(
    hop: Hop,
    neighbours: Pick<Extract<Role, { role: 'stage' }>, 'previous' | 'next'>,
  ): (clientKey: Uint8Array) => Role {
    const { manifest, positionsMax, resume = [] } = this.#options;
    const before = resume.find((each) => each.hop.peer === hop.peer && each.hop.span.first === hop.span.first);
    return (clientKey) => ({
      role: 'stage',
      manifest,
      first: hop.span.first,
      last: hop.span.last,
      positionsMax,
      ...neighbours,
      resume:
        before === undefined
          ? null
          : {
              session: hexToBytes(before.session),
              proof: resumeProof(before.secret, before.session, clientKey),
            },
    });
  }

  /** @returns the positions that the hop holds of a resumed session */
  async #extend(peer: PeerId, role: Parameters<ClientCircuit['extend']>[1], signal: AbortSignal): Promise<number> {
    if (this.#failure !== undefined) throw this.#failure;
    const hopKey = announcementOf(this.#options.directory, peer)?.hopKeys[0];
    const target = this.#circuit.length;
    if (hopKey === undefined) throw this.#lost(target, 'unknown-peer');
    const onAbort = (): void => {
      const silent = this.#lost(target, 'timeout');
      this.#extending?.reject(this.#options.signal?.aborted === true ? asError(signal.reason) : silent);
    };
    const answered = new Promise<number>((resolve, reject) => {
      this.#extending = { resolve, reject };
    });
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      if (signal.aborted) onAbort();
      else this.#circuit.extend({ peer, hopKey }, role);
      return await answered;
    } catch (cause) {
      // A hop key that is no point to use.
      throw cause instanceof CircuitError ? this.#lost(target, cause.reason) : cause;
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#extending = undefined;
    }
  }

  step(step: RouteStep): Promise<Float32Array<ArrayBuffer>> {
    if (!this.alive) return Promise.reject(this.#failure ?? this.#lost(this.#peers.length - 1, 'closed'));
    const { precision } = this.#options;
    const message = encodeStep({
      session: noSession,
      number: 0,
      position: step.position,
      tokens: step.tokens,
      wants: step.wants,
      precision,
      deadlineMs: limits.stepMsMax,
      payload: packHidden(step.hidden, precision),
    });
    const padded = step.tokens > 1;
    const rows = step.wants === 'all' ? step.tokens : 1;
    const cells = cellsOf(message.length, padded);
    if (cells > circuitLimits.messageCellsMax) {
      const most = `at most ${circuitLimits.messageCellsMax} cells; send fewer positions at once`;
      return Promise.reject(new InvalidValueError('step', most, `${step.tokens} positions in ${cells}`));
    }
    return new Promise((resolve, reject) => {
      const expires = setTimeout(() => this.#fail(this.#stepTimeout()), limits.stepMsMax);
      this.#steps.push({ message, padded, cells, rows, resolve, reject, expires });
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#circuit.close();
    this.#remove();
    this.#steps.rejectAll(this.#failure ?? this.#lost(this.#peers.length - 1, 'closed'));
  }

  loop(hop: number): void {
    if (this.alive && hop < this.#circuit.length) this.#circuit.loop(hop, this.#loops++);
  }

  dummyStep(): void {
    if (!this.alive || this.#covering) return;
    this.#covering = true;
    const { width, precision } = this.#options;
    const message = coverMessage(stepHeaderBytes + width * bytesPerNumber(precision));
    // Where it cannot be sent, nothing is covered any more.
    this.#circuit.sendMessage(message, { padded: false }).catch(() => undefined);
  }

  send(frame: Uint8Array): Promise<void> {
    return this.#link.send(frame);
  }

  extended(_hop: number, held: number): void {
    this.#extending?.resolve(held);
  }

  failed(hop: number, failure: WireError): void {
    this.#fail(this.#refused(hop, failure));
  }

  truncated(hop: number, side: 'next' | 'rendezvous', reason: CircuitReason): void {
    // A last stage that refuses says why by the other way, which takes longer.
    if (side === 'rendezvous' && reason === 'refused') return;
    if (side === 'rendezvous') this.#fail(this.#lost(this.#peers.length - 1, reason));
    else if (reason === 'bad-cell') this.#fail(new HopLostError(reason, this.#peers.slice(hop, hop + 2)));
    else this.#fail(this.#lost(hop + 1, reason));
  }

  established(): void {
    // What follows on the same way would not have come without it.
  }

  looped(): void {
    // It was sent to be seen on the links.
  }

  result(message: Uint8Array): void {
    if (isCover(message)) {
      this.#covering = false;
      return;
    }
    const waiting = this.#steps.shift();
    if (waiting === undefined) return;
    try {
      const frame = decodeStageFrame(message);
      if (frame.kind !== 'step') throw new StageRefusedError(this.#lastStage, 'wrong-result', 'it is no step');
      const { width } = this.#options;
      waiting.resolve(unpackHidden(frame.payload, { tokens: waiting.rows, width, precision: frame.precision }));
    } catch (error) {
      const refused = new StageRefusedError(this.#lastStage, 'wrong-result', (error as UnfedError).message);
      waiting.reject(refused);
      this.#fail(refused);
    }
  }

  ended(reason: CircuitReason, suspects: readonly number[]): void {
    const [hop] = suspects;
    const alone = suspects.length === 1 ? this.#lost(hop, reason) : undefined;
    this.#fail(
      alone ??
        new HopLostError(
          reason,
          suspects.map((each) => this.#peers[each]),
        ),
    );
  }

  get #lastStage(): Hop {
    return this.hops[this.hops.length - 1];
  }

  #transmit({ message, padded, reject }: WaitingStep): void {
    this.#circuit.sendMessage(message, { padded }).catch(reject);
  }

  /** The stage of a hop, by its number in the circuit. */
  #stageOf(hop: number): Hop | undefined {
    return this.hops[hop - 1 - this.path.forwarders.length];
  }

  #refused(hop: number, { code, message }: WireError): UnfedError {
    const stage = this.#stageOf(hop);
    if (stage !== undefined) return new StageRefusedError(stage, code, message);
    return new HopLostError('refused', [this.#peers[hop]]);
  }

  #lost(hop: number, reason: CircuitReason): UnfedError {
    const stage = this.#stageOf(hop);
    const error = new HopLostError(reason, [this.#peers[hop]]);
    return stage === undefined ? error : new StageLostError(stage.peer, stage.span, { cause: error });
  }

  /** Results come back by the rendezvous alone: which hop kept a step is not known. */
  #stepTimeout(): UnfedError {
    return new StepTimeoutError(limits.stepMsMax, 'a step', this.#peers);
  }

  #fail(error: UnfedError): void {
    if (!this.alive) return;
    this.#failure = error;
    this.#extending?.reject(error);
    this.#steps.rejectAll(error);
    this.#remove();
    this.#circuit.close();
  }
}
