/**
 * One circuit at one hop: peels what comes from the client's side and passes it on, adds a layer to what comes back, and
 * does what the client asks of this hop. A stage's messages go to whoever computes. Rules are numbered in SPEC.md.
 */
import { UnfedError, type PeerId, type WireError } from '@unfed/protocol';
import type { CircuitKeys } from './circuit-keys.ts';
import { cookieBody, handshakeBody, readDestroyBody, readHandshakeBody, type CellType } from './cell.ts';
import { CircuitError, type CircuitReason } from './errors.ts';
import { cutMessage, MessageParts } from './data-cells.ts';
import { HopLayers, joinedCommand, relayCommand } from './layer.ts';
import * as limits from './limits.ts';
import {
  dataCommand,
  decodeControl,
  encodeControl,
  encodeRoleAnswer,
  type BackwardControl,
  type Control,
  type Role,
  type RoleAnswer,
  type StageRole,
} from './messages.ts';
import type { Port, PortKind } from './port.ts';
import { LayerKey } from './seal.ts';
import { TokenBucket } from './token-bucket.ts';

/** What a circuit needs of the peer that it passes through. */
export interface HopHost<L> {
  readonly random: (length: number) => Uint8Array;
  readonly nowMs: () => number;
  /** Why this hop does not extend a circuit that came on `from` to `peer`; undefined where it does. */
  refusal(peer: PeerId, from: L): CircuitReason | undefined;
  /** A circuit of our own on a link. */
  open(circuit: HopCircuit<L>, kind: PortKind, link: L): Port<L>;
  /** @returns false where another circuit has it */
  offer(cookie: Uint8Array, circuit: HopCircuit<L>): boolean;
  withdraw(cookie: Uint8Array): void;
  /** @throws CircuitError busy */
  hold(cells: number): void;
  ended(circuit: HopCircuit<L>, reason: CircuitReason): void;
  readonly outputs: HopOutputs<L>;
}

/** What only the peer around can do. Each is answered by a method of the circuit, at once or later. */
export interface HopOutputs<L> {
  /** Have a link to a peer ready, by its own announcement. */
  prepare(peer: PeerId): void;
  /** Open a link to a peer, by its own announcement: then `extendTo` or `extendFailed`. */
  extend(circuit: HopCircuit<L>, peer: PeerId): void;
  /** Reserve a session, and open a link to the rendezvous where the role names one: then `accept` or `refuse`. */
  openStage(circuit: HopCircuit<L>, role: StageRole): void;
  /** A step for the stage. */
  message(circuit: HopCircuit<L>, message: Uint8Array): void;
  /** The circuit of a stage is over; `closed`: by its client. */
  closed(circuit: HopCircuit<L>, reason: CircuitReason): void;
  /** A defect of this code, for the log: its circuit ended, the others go on. */
  fault(error: unknown): void;
}

interface Next<L> {
  readonly peer: PeerId;
  readonly handshake: Uint8Array;
  readonly askedMs: number;
  port: Port<L> | undefined;
  answered: boolean;
}

export interface HopCircuitInit<L> {
  readonly host: HopHost<L>;
  readonly role: Role;
  readonly keys: CircuitKeys;
  /** The fresh key of the client's handshake. */
  readonly clientKey: Uint8Array;
  /** Seals the answer to the handshake. */
  readonly answer: (message: Uint8Array) => Uint8Array;
}

export class HopCircuit<L> {
  readonly role: Role;
  readonly keys: CircuitKeys;
  readonly clientKey: Uint8Array;
  readonly #host: HopHost<L>;
  readonly #answer: (message: Uint8Array) => Uint8Array;
  readonly #layers: HopLayers;
  readonly #parts = new MessageParts();
  #partsHeld = 0;
  readonly #loops: TokenBucket;
  /** A later stage's input, and a stage's output. */
  readonly #input: LayerKey | undefined;
  readonly #output: LayerKey | undefined;
  #previous: Port<L> | undefined;
  #next: Next<L> | undefined;
  /** Cells for a next hop that is gone may still be on their way. */
  #hadNext = false;
  #cookie: Uint8Array | undefined;
  #awaited: PeerId | undefined;
  /** The last stage's, at the last forwarder. */
  #joined: Port<L> | undefined;
  /** At the last stage. */
  #join: Port<L> | undefined;
  #held = 0;
  #extensions = 0;
  #state: 'opening' | 'open' | 'ended' = 'opening';
  #lastMs: number;

  constructor({ host, role, keys, clientKey, answer }: HopCircuitInit<L>) {
    this.#host = host;
    this.role = role;
    this.keys = keys;
    this.clientKey = clientKey;
    this.#answer = answer;
    this.#layers = new HopLayers(keys);
    this.#lastMs = host.nowMs();
    const perSecond = limits.loopsPerSecondMax;
    this.#loops = new TokenBucket({ burst: perSecond, perSecond }, this.#lastMs);
    if (role.role === 'forward') return;
    if (role.previous !== null) this.#input = new LayerKey(role.previous);
    this.#output = new LayerKey('key' in role.next ? role.next.key : keys.result);
  }

  get ended(): boolean {
    return this.#state === 'ended';
  }

  /** Where the circuit comes from. */
  get from(): L | undefined {
    return this.#previous?.link;
  }

  /** Called once, when the circuit has its place on its link. */
  begin(previous: Port<L>): void {
    this.#previous = previous;
    this.#guard(() => {
      if (this.role.role === 'forward') this.#accept({ held: 0 });
      else this.#host.outputs.openStage(this, this.role);
    });
  }

  /** A cell for this circuit. */
  take(kind: PortKind, type: CellType, body: Uint8Array): void {
    if (this.ended) return;
    this.#lastMs = this.#host.nowMs();
    this.#guard(() => {
      if (kind === 'previous') this.#fromPrevious(type, body);
      else if (kind === 'next') this.#fromNext(type, body);
      else if (kind === 'joined') this.#fromJoined(type, body);
      else this.#fromRendezvous(type, body);
    });
  }

  /** The link under a port is gone. */
  lost(kind: PortKind): void {
    if (kind === 'previous') this.#end('link-lost');
    else this.#guard(() => this.#gone(kind, 'link-lost'));
  }

  /** @param link to the peer that was asked for */
  extendTo(link: L): void {
    this.#guard(() => {
      const next = this.#next;
      if (next === undefined || next.port !== undefined) return;
      next.port = this.#host.open(this, 'next', link);
      void next.port.send('create', handshakeBody(next.handshake, this.#host.random));
    });
  }

  extendFailed(reason: CircuitReason): void {
    this.#guard(() => {
      if (this.#next !== undefined && this.#next.port === undefined) this.#dropNext(reason);
    });
  }

  /**
   * The stage has its session.
   * @param held positions of a session that was resumed
   * @param rendezvous the link to it, where the role names one
   */
  accept({ held, rendezvous }: { readonly held: number; readonly rendezvous?: L }): void {
    this.#guard(() => {
      if (this.#state !== 'opening' || this.role.role !== 'stage') return;
      if (!('cookie' in this.role.next)) {
        this.#accept({ held });
        return;
      }
      if (rendezvous === undefined) throw new CircuitError('internal', 'a last stage without a link to its rendezvous');
      this.#held = held;
      this.#join = this.#host.open(this, 'join', rendezvous);
      void this.#join.send('join', cookieBody(this.role.next.cookie, this.#host.random));
    });
  }

  /** The hop does not play its part, and says why to the client alone. */
  refuse(failure: WireError): void {
    this.#guard(() => {
      if (this.#state !== 'opening') return;
      this.#accept(failure);
      this.#end('refused');
    });
  }

  /** @returns when the links took all of a stage's result, or the circuit is over */
  async sendResult(message: Uint8Array, options: { readonly padded: boolean }): Promise<void> {
    const sent: Promise<void>[] = [];
    this.#guard(() => {
      const output = this.#output;
      const port = this.#join ?? (this.#next?.answered === true ? this.#next.port : undefined);
      if (output === undefined || port === undefined) throw new CircuitError('link-lost');
      for (const content of cutMessage(message, options)) {
        const plaintext = new Uint8Array(limits.plaintextBytes);
        plaintext.set(content);
        sent.push(port.send(port.kind === 'join' ? 'result' : 'hand', output.seal(plaintext)));
      }
    });
    await Promise.all(sent);
  }

  /** The stage cannot go on. */
  fail(failure: WireError): void {
    this.#fail(failure, 'refused');
  }

  /** This hop ends it. */
  close(reason: CircuitReason): void {
    this.#end(reason);
  }

  /** Ends what waited too long. */
  sweep(nowMs: number): void {
    if (this.#state === 'opening' && nowMs - this.#lastMs > limits.extendMsMax) this.#end('timeout');
    if (nowMs - this.#lastMs > limits.idleMsMax) this.#end('timeout');
    const next = this.#next;
    if (next !== undefined && !next.answered && nowMs - next.askedMs > limits.extendMsMax) {
      this.#guard(() => this.#dropNext('timeout'));
    }
  }

  #fromPrevious(type: CellType, body: Uint8Array): void {
    if (type === 'destroy') return this.#end(readDestroyBody(body), { quiet: 'previous' });
    if (this.#state !== 'open') throw new CircuitError('protocol', 'a cell before the handshake was answered');
    if (type === 'hand') return this.#handed(body);
    if (type !== 'forward') throw new CircuitError('protocol', `a ${type} cell`);
    const peeled = this.#layers.peel(body);
    if ('plaintext' in peeled) return this.#read(peeled.plaintext);
    if (this.#next?.answered === true) void this.#next.port?.send('forward', peeled.next);
    else if (!this.#hadNext) throw new CircuitError('protocol', 'a cell for a next hop that is not there');
  }

  #handed(body: Uint8Array): void {
    if (this.#input === undefined) throw new CircuitError('protocol', 'a step from a hop that hands none over');
    const plaintext = this.#input.open(body);
    if (plaintext[0] !== dataCommand) throw new CircuitError('protocol', `command ${plaintext[0]} between stages`);
    this.#data(plaintext);
  }

  #read(plaintext: Uint8Array): void {
    if (plaintext[0] !== dataCommand) return this.#obey(decodeControl(plaintext));
    if (this.role.role !== 'stage' || this.#input !== undefined) {
      throw new CircuitError('protocol', 'a step for a hop that takes none from its client');
    }
    this.#data(plaintext);
  }

  #data(plaintext: Uint8Array): void {
    this.#host.hold(1);
    this.#partsHeld++;
    const message = this.#parts.push(plaintext);
    if (message === undefined) return;
    this.#dropParts();
    this.#host.outputs.message(this, message);
  }

  #dropParts(): void {
    this.#host.hold(-this.#partsHeld);
    this.#partsHeld = 0;
  }

  #obey(control: Control): void {
    switch (control.kind) {
      case 'extend':
        return this.#extend(control.peer, control.handshake);
      case 'truncate':
        return this.#dropNext('closed');
      case 'rendezvous':
        return this.#offer(control.cookie, control.peer);
      case 'loop':
        if (!this.#loops.take(this.#host.nowMs())) throw new CircuitError('flood', 'loops');
        return this.#say({ kind: 'looped', number: control.number });
      default:
        throw new CircuitError('protocol', `${control.kind}, which no client says`);
    }
  }

  #extend(peer: PeerId, handshake: Uint8Array): void {
    if (this.#next !== undefined) throw new CircuitError('protocol', 'a second next hop');
    this.#next = { peer, handshake, askedMs: this.#host.nowMs(), port: undefined, answered: false };
    const refusal = this.#mayDial(peer);
    if (refusal === undefined) this.#host.outputs.extend(this, peer);
    else this.#dropNext(refusal);
  }

  /** There is no next hop any more, and the client hears why. */
  #dropNext(reason: CircuitReason): void {
    if (this.#next?.answered === true) this.#hadNext = true;
    this.#next?.port?.end(reason);
    this.#next = undefined;
    this.#say({ kind: 'truncated', side: 'next', reason });
  }

  #offer(cookie: Uint8Array, peer: PeerId): void {
    if (this.role.role !== 'forward' || !this.#host.offer(cookie, this)) {
      throw new CircuitError('protocol', 'a rendezvous that cannot be');
    }
    // A new one takes the place of the old, as another last stage that of one that is gone.
    if (this.#cookie !== undefined) this.#host.withdraw(this.#cookie);
    this.#joined?.end('closed');
    this.#joined = undefined;
    this.#cookie = cookie;
    this.#awaited = peer;
    // While the circuit is built on, so that the last stage finds the link there.
    if (this.#mayDial(peer) === undefined) this.#host.outputs.prepare(peer);
    this.#say({ kind: 'established' });
  }

  /** Who may join here. */
  get awaited(): PeerId | undefined {
    return this.#awaited;
  }

  #mayDial(peer: PeerId): CircuitReason | undefined {
    if (this.#previous === undefined || ++this.#extensions > limits.extendsPerCircuitMax) return 'not-allowed';
    return this.#host.refusal(peer, this.#previous.link);
  }

  /** A last stage named our cookie: once, and no more. */
  joinedBy(port: Port<L>): void {
    this.#guard(() => {
      this.#joined = port;
      void port.send('joined', this.#host.random(limits.bodyBytes));
    });
  }

  #fromNext(type: CellType, body: Uint8Array): void {
    const next = this.#next;
    if (type === 'destroyed') return this.#gone('next', readDestroyBody(body));
    if (next === undefined) return;
    if (type === 'backward' && next.answered) {
      void this.#previous?.send('backward', this.#layers.passBack(body, relayCommand));
    } else if (type === 'created' && !next.answered) {
      next.answered = true;
      this.#say({ kind: 'extended', handshake: readHandshakeBody(body) });
    } else this.#dropNext('protocol');
  }

  #fromJoined(type: CellType, body: Uint8Array): void {
    if (type === 'result') void this.#previous?.send('backward', this.#layers.passBack(body, joinedCommand));
    else this.#gone('joined', type === 'destroy' ? readDestroyBody(body) : 'protocol');
  }

  #fromRendezvous(type: CellType, body: Uint8Array): void {
    if (type === 'joined' && this.#state === 'opening') this.#accept({ held: this.#held });
    else this.#gone('join', type === 'destroyed' ? readDestroyBody(body) : 'protocol');
  }

  /** What a port led to is gone. */
  #gone(kind: PortKind, reason: CircuitReason): void {
    if (kind === 'next') {
      if (this.#next !== undefined) this.#dropNext(reason);
    } else if (kind === 'joined') {
      this.#joined?.end(reason);
      this.#joined = undefined;
      this.#say({ kind: 'truncated', side: 'rendezvous', reason });
    } else if (reason === 'closed') {
      // The same client closed it there: the word may come sooner this way.
      this.#end(reason);
    } else {
      this.#fail({ code: 'neighbour-left', message: 'the forwarder that takes the results is gone' }, reason);
    }
  }

  #fail(failure: WireError, reason: CircuitReason): void {
    this.#guard(() => {
      if (this.#state === 'opening') this.refuse(failure);
      else this.#say({ kind: 'failed', ...failure });
      this.#end(reason);
    });
  }

  #accept(answer: RoleAnswer): void {
    const sealed = this.#answer(encodeRoleAnswer(answer));
    this.#state = 'open';
    void this.#previous?.send('created', handshakeBody(sealed, this.#host.random));
  }

  #say(control: BackwardControl): void {
    void this.#previous?.send('backward', this.#layers.originate(encodeControl(control)));
  }

  #guard(work: () => void): void {
    if (this.ended) return;
    try {
      work();
    } catch (error) {
      // A peer's bytes end its circuit at worst; anything that is no error of ours is a fault of this hop.
      if (!(error instanceof UnfedError)) this.#host.outputs.fault(error);
      this.#end(error instanceof CircuitError ? error.reason : error instanceof UnfedError ? 'protocol' : 'internal');
    }
  }

  /** @param quiet the side that said so, or that is gone */
  #end(reason: CircuitReason, { quiet }: { readonly quiet?: PortKind } = {}): void {
    if (this.ended) return;
    this.#state = 'ended';
    this.#previous?.end(quiet === 'previous' ? undefined : reason);
    this.#next?.port?.end(reason);
    this.#joined?.end(reason);
    this.#join?.end(reason);
    if (this.#cookie !== undefined) this.#host.withdraw(this.#cookie);
    this.#dropParts();
    this.#host.ended(this, reason);
    if (this.role.role === 'stage') this.#host.outputs.closed(this, reason);
  }
}
