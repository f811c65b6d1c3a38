/**
 * The client's end of one circuit: builds it hop by hop, each extension through the hops before, so that none but the first
 * learns where it begins; seals steps for the first stage and opens what comes back. Takes cells and gives cells and events.
 */
import { publicKeyOf, UnfedError, type PeerId, type WireError } from '@unfed/protocol';
import type { RandomBytes } from './bytes.ts';
import {
  destroyBody,
  encodeCell,
  handshakeBody,
  readDestroyBody,
  readHandshakeBody,
  type Cell,
  type CellType,
} from './cell.ts';
import { circuitKeys, verification, type CircuitKeys } from './circuit-keys.ts';
import { cutMessage, MessageParts } from './data-cells.ts';
import { CircuitError, type CircuitReason } from './errors.ts';
import { ClientLayers, type Origin } from './layer.ts';
import * as limits from './limits.ts';
import {
  dataCommand,
  decodeControl,
  decodeRoleAnswer,
  encodeControl,
  encodeRole,
  type BackwardControl,
  type ForwardControl,
  type Role,
} from './messages.ts';
import { startHandshake, type ClientHandshake } from './ntor.ts';

/** A peer that is to be a hop. */
export interface HopTarget {
  readonly peer: PeerId;
  /** The newest of its announcement. */
  readonly hopKey: Uint8Array;
}

/** Hops are numbered from 0, the guard. */
export interface ClientOutputs {
  /** Hands a cell to the link to the guard; resolves when it was taken. */
  send(frame: Uint8Array): Promise<void>;
  /** The hop plays its part. `held`: positions of a resumed session that it still has. */
  extended(hop: number, held: number): void;
  /** The hop refused its part, or cannot go on with it. */
  failed(hop: number, failure: WireError): void;
  /** What was behind the hop is gone: with side `next` the circuit ends there now. */
  truncated(hop: number, side: 'next' | 'rendezvous', reason: CircuitReason): void;
  established(hop: number): void;
  looped(hop: number, number: number): void;
  /** A result of the last stage, in the order of the steps. */
  result(message: Uint8Array): void;
  /**
   * The circuit is over, and not by `close`.
   * @param suspects hops of which one is to blame, or the link between them
   */
  ended(reason: CircuitReason, suspects: readonly number[]): void;
}

interface Pending {
  readonly role: Role;
  readonly handshake: ClientHandshake;
}

export interface ClientCircuitOptions {
  /** Of this link: drawn at random. */
  readonly id: number;
  readonly random: RandomBytes;
  readonly outputs: ClientOutputs;
}

export class ClientCircuit {
  readonly id: number;
  readonly #random: RandomBytes;
  readonly #outputs: ClientOutputs;
  readonly #layers: ClientLayers;
  readonly #keys: CircuitKeys[] = [];
  readonly #parts = new MessageParts();
  #pending: Pending | undefined;
  #firstStage: number | undefined;
  #rendezvous: number | undefined;
  #ended = false;

  constructor({ id, random, outputs }: ClientCircuitOptions) {
    this.id = id;
    this.#random = random;
    this.#outputs = outputs;
    this.#layers = new ClientLayers(random);
  }

  /** Hops that answered. */
  get length(): number {
    return this.#keys.length;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** What proves to a stage, later, that its session is this client's: for `resumeProof`. */
  sessionOf(hop: number): Pick<CircuitKeys, 'session' | 'resume'> {
    const { session, resume } = this.#keys[hop];
    return { session, resume };
  }

  /**
   * Asks a peer to be the next hop: over the link where it is the first, else through the circuit. One at a time.
   * @param role its part; made when the fresh key of the handshake is known, so that it can prove things about it
   * @throws CircuitError
   */
  extend({ peer, hopKey }: HopTarget, role: Role | ((clientKey: Uint8Array) => Role)): void {
    if (this.#pending !== undefined || this.length >= limits.hopsMax)
      throw new CircuitError('protocol', 'one more hop');
    let asked: Role | undefined;
    const message = (clientKey: Uint8Array): Uint8Array => {
      asked = typeof role === 'function' ? role(clientKey) : role;
      return encodeRole(asked);
    };
    const handshake = startHandshake({ id: publicKeyOf(peer), hopKey, verification }, message, this.#random);
    if (asked === undefined) throw new CircuitError('internal', 'a handshake without a message');
    this.#pending = { role: asked, handshake };
    if (this.length === 0) void this.#send('create', handshakeBody(handshake.handshake, this.#random));
    else this.#ask(this.length - 1, { kind: 'extend', peer, handshake: handshake.handshake });
  }

  /** Asks the last hop to hand on, as coming from behind it, what this peer brings when it knows the cookie. */
  establish(cookie: Uint8Array, peer: PeerId): void {
    this.#rendezvous = this.length - 1;
    this.#ask(this.#rendezvous, { kind: 'rendezvous', cookie, peer });
  }

  /** Ends what is behind a hop; `truncated` follows. */
  truncate(hop: number): void {
    this.#ask(hop, { kind: 'truncate' });
  }

  /** Cover: `looped` follows. */
  loop(hop: number, number: number): void {
    this.#ask(hop, { kind: 'loop', number });
  }

  /**
   * Sends a step to the first stage.
   * @returns when the link took all its cells
   * @throws CircuitError protocol where there is no stage yet, or the message is too long
   */
  async sendMessage(message: Uint8Array, options: { readonly padded: boolean }): Promise<void> {
    const stage = this.#firstStage;
    if (stage === undefined) throw new CircuitError('protocol', 'there is no stage yet');
    // Handed over at once: a cell wrapped later must not overtake one that was wrapped before.
    const cells = cutMessage(message, options);
    await Promise.all(cells.map((content) => this.#send('forward', this.#layers.wrap(stage, content))));
  }

  /** A cell of the link to the guard, for this circuit. */
  receive({ type, body }: Cell): void {
    if (this.#ended) return;
    try {
      if (type === 'destroyed') this.#end(readDestroyBody(body), [0]);
      else if (type === 'created') this.#answered(0, readHandshakeBody(body));
      else if (type === 'backward') this.#backward(body);
      else throw new CircuitError('protocol', `a ${type} cell`);
    } catch (error) {
      // Whatever the guard sent, or let through, ends the circuit at worst.
      const reason = error instanceof CircuitError ? error.reason : 'protocol';
      this.#tellGuard(reason);
      this.#end(reason, error instanceof UnfedError ? this.#suspects(error) : []);
    }
  }

  /** The link to the guard is gone. */
  lost(): void {
    this.#end('link-lost', [0]);
  }

  /** Ends it everywhere. */
  close(): void {
    if (this.#ended) return;
    this.#tellGuard('closed');
    this.#ended = true;
  }

  #backward(body: Uint8Array): void {
    const { origin, plaintext } = this.#layers.unwrap(body);
    if (origin !== 'rendezvous') {
      this.#heard(origin, decodeControl(plaintext) as BackwardControl);
      return;
    }
    if (plaintext[0] !== dataCommand) throw new FaultOfHop(origin, this.length);
    const message = this.#parts.push(plaintext);
    if (message !== undefined) this.#outputs.result(message);
  }

  #heard(hop: number, control: BackwardControl): void {
    switch (control.kind) {
      case 'extended':
        if (hop !== this.length - 1) throw new FaultOfHop(hop, this.length);
        return this.#answered(hop + 1, control.handshake);
      case 'truncated':
        return this.#truncated(hop, control.side, control.reason);
      case 'established':
        return this.#outputs.established(hop);
      case 'failed':
        return this.#outputs.failed(hop, { code: control.code, message: control.message });
      case 'looped':
        return this.#outputs.looped(hop, control.number);
      default:
        throw new FaultOfHop(hop, this.length);
    }
  }

  #answered(hop: number, answer: Uint8Array): void {
    const pending = this.#pending;
    if (pending === undefined || hop !== this.length) throw new FaultOfHop(Math.max(0, hop - 1), this.length);
    this.#pending = undefined;
    const { message, keys: stream } = pending.handshake.finish(answer);
    const said = decodeRoleAnswer(message);
    const keys = circuitKeys(stream);
    this.#layers.add(keys);
    this.#keys.push(keys);
    if (!('held' in said)) {
      this.#outputs.failed(hop, said);
      return;
    }
    if (pending.role.role === 'stage') this.#beginStage(hop, keys, pending.role.next);
    this.#outputs.extended(hop, said.held);
  }

  #beginStage(hop: number, keys: CircuitKeys, next: Extract<Role, { role: 'stage' }>['next']): void {
    this.#firstStage ??= hop;
    if ('cookie' in next && this.#rendezvous !== undefined) this.#layers.expectResults(this.#rendezvous, keys.result);
  }

  #truncated(hop: number, side: 'next' | 'rendezvous', reason: CircuitReason): void {
    if (side === 'next') {
      this.#pending = undefined;
      this.#layers.cut(hop + 1);
      this.#keys.length = Math.min(this.#keys.length, hop + 1);
      if (this.#firstStage !== undefined && this.#firstStage > hop) this.#firstStage = undefined;
      if (this.#rendezvous !== undefined && this.#rendezvous > hop) this.#rendezvous = undefined;
    }
    this.#outputs.truncated(hop, side, reason);
  }

  #ask(hop: number, control: ForwardControl): void {
    if (this.#ended) return;
    void this.#send('forward', this.#layers.wrap(hop, encodeControl(control)));
  }

  async #send(type: CellType, body: Uint8Array): Promise<void> {
    if (this.#ended) return;
    try {
      await this.#outputs.send(encodeCell({ type, circuit: this.id, body }));
    } catch {
      this.lost();
    }
  }

  #tellGuard(reason: CircuitReason): void {
    void this.#send('destroy', destroyBody(reason, this.#random));
  }

  /** Who says what it may not is to blame; of a wrong answer, who gave it or who passed it on; of a bad cell, any hop. */
  #suspects(error: UnfedError): readonly number[] {
    if (error instanceof FaultOfHop) return error.hops;
    if (error instanceof CircuitError && error.reason === 'bad-handshake')
      return [this.length - 1, this.length].filter((hop) => hop >= 0);
    return this.#keys.map((_, hop) => hop);
  }

  #end(reason: CircuitReason, suspects: readonly number[]): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#outputs.ended(reason, suspects);
  }
}

/** A hop said, under its own key, what no hop may say. */
class FaultOfHop extends CircuitError {
  readonly hops: readonly number[];

  constructor(hop: Origin, length: number) {
    super('protocol', `hop ${hop}`);
    this.hops = [hop === 'rendezvous' ? length - 1 : hop];
  }
}
