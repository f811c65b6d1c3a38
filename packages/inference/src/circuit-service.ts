/**
 * The hop of a peer: forwards circuits, extends them to peers of the directory, and is the door by which circuits reach the
 * stage that this peer may run. Rules are numbered in the SPEC.md of `@unfed/circuit`.
 */
import {
  HopTable,
  limits as circuitLimits,
  resumeProof,
  secureRandom,
  type CircuitReason,
  type HopCircuit,
  type HopKeys,
  type HopOutputs,
  type RandomBytes,
  type StageRole,
} from '@unfed/circuit';
import {
  bytesToHex,
  decodeStageFrame,
  encodeStep,
  type Directory,
  type Link,
  type PeerId,
  type SessionId,
  type Step,
} from '@unfed/protocol';
import type { CircuitLinks } from './circuit-links.ts';
import { isCover } from './circuit-steps.ts';
import { StageProtocolError } from './errors.ts';
import * as limits from './limits.ts';
import type { SessionDoor, StageCore, StageSession } from './stage-core.ts';
import { dialAnnounced } from './stage-dial.ts';
import { stageFailure } from './stage-failure.ts';

export interface CircuitServiceOptions {
  readonly links: CircuitLinks;
  /** Those that this peer announces. */
  readonly keys: HopKeys;
  /** Where the addresses of next hops come from. */
  readonly directory: Directory;
  readonly random?: RandomBytes;
  readonly nowMs?: () => number;
  /** A defect, for the log. Default: nothing. */
  readonly onFault?: (error: unknown) => void;
}

export interface CircuitService {
  /** Circuits that pass through this peer, or end here. */
  readonly circuits: number;
  /** Cells that wait here for a link, or for the rest of their step. */
  readonly heldCells: number;
  /** Takes stages' parts for this stage, until the returned function is called. One at a time. */
  serve(stage: StageCore): () => void;
  /** Ends all circuits, and takes no more. */
  stop(): void;
}

export function createCircuitService(options: CircuitServiceOptions): CircuitService {
  return new Service(options);
}

type Circuit = HopCircuit<Link>;

/** A session that came by circuits, under the name that its client knows. */
interface Held {
  readonly stage: StageCore;
  readonly session: StageSession;
  /** Proves that who comes back is the same client. */
  readonly secret: Uint8Array;
  /** Undefined while no circuit leads to it. */
  circuit: Circuit | undefined;
  expires: ReturnType<typeof setTimeout> | undefined;
}

/** No two stages see the same number for one conversation. */
const noSession = '0'.repeat(32) as SessionId;

class Service implements CircuitService, HopOutputs<Link> {
  readonly #options: CircuitServiceOptions;
  readonly #table: HopTable<Link>;
  readonly #held = new Map<SessionId, Held>();
  readonly #unserve: () => void;
  #stage: StageCore | undefined;
  #sweeping: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(options: CircuitServiceOptions) {
    const { links, keys, random = secureRandom, nowMs = () => performance.now() } = options;
    this.#options = options;
    this.#table = new HopTable<Link>({
      self: links.self,
      keys,
      random,
      nowMs,
      outputs: this,
      send: (link, frame) => link.send(frame),
      peerOf: (link) => link.peer,
    });
    this.#unserve = links.serve({
      receive: (link, frame) => {
        this.#table.receive(link, frame);
        this.#sweepLater();
      },
      linkClosed: (link) => this.#table.linkClosed(link),
    });
  }

  get circuits(): number {
    return this.#table.circuits;
  }

  get heldCells(): number {
    return this.#table.heldCells;
  }

  serve(stage: StageCore): () => void {
    this.#stage = stage;
    return () => {
      if (this.#stage === stage) this.#stage = undefined;
    };
  }

  stop(): void {
    this.#stopped = true;
    this.#unserve();
    clearTimeout(this.#sweeping);
    this.#table.stop();
    for (const [name, { stage, session, expires }] of this.#held) {
      clearTimeout(expires);
      this.#held.delete(name);
      void stage.end(session);
    }
  }

  prepare(peer: PeerId): void {
    // Who is to bring results opens the link itself where this fails.
    dialAnnounced(this.#options, peer).catch(() => undefined);
  }

  extend(circuit: Circuit, peer: PeerId): void {
    dialAnnounced(this.#options, peer).then(
      (link) => circuit.extendTo(link),
      (error: unknown) => {
        const unknown = error instanceof StageProtocolError && error.code === 'next-unknown';
        circuit.extendFailed(unknown ? 'unknown-peer' : 'unreachable');
      },
    );
  }

  openStage(circuit: Circuit, role: StageRole): void {
    const stage = this.#stage;
    if (stage === undefined) {
      circuit.refuse({ code: 'not-serving', message: 'this peer serves no layers now' });
      return;
    }
    const opened = role.resume === null ? this.#open(stage, circuit, role) : this.#resume(stage, circuit, role);
    opened.catch((error: unknown) => circuit.refuse(stageFailure(error)));
  }

  /** @throws DecodeError, StageProtocolError: the circuit ends */
  message(circuit: Circuit, message: Uint8Array): void {
    const held = this.#held.get(circuit.keys.session);
    if (held !== undefined && isCover(message)) {
      void circuit.sendResult(message, { padded: false });
      return;
    }
    const frame = decodeStageFrame(message);
    if (held === undefined || frame.kind !== 'step') {
      throw new StageProtocolError('unknown-session', 'only steps of an open session travel on circuits');
    }
    held.stage.push(held.session, { ...frame, session: held.session.id }, held.session.opener);
  }

  closed(circuit: Circuit, reason: CircuitReason): void {
    const name = circuit.keys.session;
    const held = this.#held.get(name);
    if (held === undefined) {
      // It may still be opening.
      if (circuit.from !== undefined) this.#stage?.openings.close(name, circuit.from);
      return;
    }
    if (held.circuit !== circuit) return;
    if (broken.has(reason)) this.#keep(name, held);
    else this.#drop(name, held);
  }

  fault(error: unknown): void {
    this.#options.onFault?.(error);
  }

  async #open(stage: StageCore, circuit: Circuit, role: StageRole): Promise<void> {
    const opener = circuit.from;
    if (opener === undefined) return;
    const { manifest, first, last, positionsMax } = role;
    const { session: name } = circuit.keys;
    const sessionsMax = limits.circuitSessionsPerLinkMax;
    const request = { session: name, manifest, span: { first, last }, positionsMax, opener, sessionsMax };
    let rendezvous: Link | undefined;
    const session = await stage.open(request, async (signal) => {
      rendezvous = await this.#rendezvousOf(role, signal);
      return circuitDoor(circuit, role);
    });
    if (circuit.ended) {
      void stage.end(session);
      return;
    }
    this.#held.set(name, { stage, session, secret: circuit.keys.resume, circuit, expires: undefined });
    circuit.accept({ held: 0, rendezvous });
  }

  /** @throws StageProtocolError session-lost, whatever is wrong with the claim */
  async #resume(stage: StageCore, circuit: Circuit, role: StageRole): Promise<void> {
    const { from: opener, keys } = circuit;
    if (opener === undefined || role.resume === null) return;
    const rendezvous = await this.#rendezvousOf(role);
    const name = bytesToHex(role.resume.session) as SessionId;
    const held = this.#held.get(name);
    const proof = held === undefined ? undefined : resumeProof(held.secret, name, circuit.clientKey);
    if (circuit.ended) return;
    if (held?.stage !== stage || proof === undefined || !sameBytes(proof, role.resume.proof)) throw sessionLost();
    if (role.positionsMax > held.session.positionsMax || stage.sessions.get(held.session.id) !== held.session) {
      throw sessionLost();
    }
    const { session, circuit: before } = held;
    clearTimeout(held.expires);
    this.#held.delete(name);
    // Its old circuit may not have noticed yet that it is broken. Stages behind keep their sessions, as the client comes there too.
    before?.close('link-lost');
    session.steps.clear();
    session.opener = opener;
    session.door = circuitDoor(circuit, role);
    this.#held.set(keys.session, { stage, session, secret: keys.resume, circuit, expires: undefined });
    circuit.accept({ held: session.positionsHeld, rendezvous });
  }

  async #rendezvousOf({ next }: StageRole, signal?: AbortSignal): Promise<Link | undefined> {
    return 'peer' in next ? dialAnnounced(this.#options, next.peer, signal) : undefined;
  }

  /** For a client that comes back over another circuit; as long as nobody else needs the memory. */
  #keep(name: SessionId, held: Held): void {
    const { session } = held;
    held.circuit = undefined;
    session.steps.clear();
    session.door = {
      nextIsStage: session.door.nextIsStage,
      givesWay: true,
      deliver: () => Promise.resolve(),
      failed: () => this.#drop(name, held),
    };
    held.expires = setTimeout(() => this.#drop(name, held), circuitLimits.resumeMsMax);
  }

  #drop(name: SessionId, held: Held): void {
    clearTimeout(held.expires);
    if (this.#held.get(name) === held) this.#held.delete(name);
    void held.stage.end(held.session);
  }

  /** While there are circuits, what waits too long ends. */
  #sweepLater(): void {
    if (this.#sweeping !== undefined || this.#stopped) return;
    this.#sweeping = setTimeout(() => {
      this.#sweeping = undefined;
      this.#table.sweep();
      if (this.#table.circuits > 0) this.#sweepLater();
    }, limits.circuitSweepMs);
  }
}

/** Reasons after which a client may come back. */
const broken: ReadonlySet<CircuitReason> = new Set([
  'bad-cell',
  'link-lost',
  'timeout',
  'stopped',
  'internal',
  'flood',
  'busy',
]);

/** Where results of a session go that came by a circuit. */
function circuitDoor(circuit: Circuit, role: StageRole): SessionDoor {
  return {
    nextIsStage: 'key' in role.next,
    deliver: (result: Step) => {
      const frame = encodeStep({ ...result, session: noSession, number: 0 });
      return circuit.sendResult(frame, { padded: result.tokens > 1 });
    },
    failed: (error) => circuit.fail(stageFailure(error)),
  };
}

function sessionLost(): StageProtocolError {
  return new StageProtocolError('session-lost', 'this stage holds no such session; send the prompt again');
}

/** In constant time: a proof is compared with it. */
function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a[i] ^ b[i];
  return difference === 0;
}
