/**
 * All circuits through one peer: which cell belongs to which, who may create one, and how much is held in all. Takes
 * frames of links and gives frames to links; knows neither transport nor clock.
 */
import { bytesToHex, publicKeyOf, type PeerId } from '@unfed/protocol';
import type { RandomBytes } from './bytes.ts';
import {
  decodeCell,
  destroyBody,
  encodeCell,
  isOutward,
  readCookieBody,
  readHandshakeBody,
  type Cell,
} from './cell.ts';
import { circuitKeys, verification } from './circuit-keys.ts';
import { CircuitError, type CircuitReason } from './errors.ts';
import type { HopKeys } from './hop-keys.ts';
import { HopCircuit, type HopHost, type HopOutputs } from './hop.ts';
import * as limits from './limits.ts';
import { decodeRole } from './messages.ts';
import { readHandshake } from './ntor.ts';
import { Port, type PortKind } from './port.ts';
import { TokenBucket } from './token-bucket.ts';

export interface HopTableOptions<L> {
  readonly self: PeerId;
  readonly keys: HopKeys;
  readonly outputs: HopOutputs<L>;
  /** Hands a frame to a link; resolves when the link has taken it, rejects when it is gone. */
  readonly send: (link: L, frame: Uint8Array) => Promise<void>;
  readonly peerOf: (link: L) => PeerId;
  readonly random: RandomBytes;
  readonly nowMs: () => number;
}

interface Entry<L> {
  readonly circuit: HopCircuit<L>;
  readonly port: Port<L>;
}

/** What there is on one link. */
interface LinkState<L> {
  /** Circuits that the other end created on it, and those that this peer created. */
  readonly theirs: Map<number, Entry<L>>;
  readonly ours: Map<number, Entry<L>>;
  readonly creates: TokenBucket;
  readonly extensions: TokenBucket;
}

export class HopTable<L extends object> {
  readonly #options: HopTableOptions<L>;
  readonly #links = new WeakMap<L, LinkState<L>>();
  readonly #circuits = new Set<HopCircuit<L>>();
  readonly #cookies = new Map<string, HopCircuit<L>>();
  readonly #host: HopHost<L>;
  #held = 0;

  constructor(options: HopTableOptions<L>) {
    this.#options = options;
    this.#host = this.#makeHost();
  }

  /** Circuits that pass through this peer, or end here. */
  get circuits(): number {
    return this.#circuits.size;
  }

  /** Rendezvous that nobody has joined yet. */
  get rendezvous(): number {
    return this.#cookies.size;
  }

  /** Cells that wait for a link, or for the rest of their message. */
  get heldCells(): number {
    return this.#held;
  }

  /** @throws DecodeError for what is no cell: the link should be closed */
  receive(link: L, frame: Uint8Array): void {
    const cell = decodeCell(frame);
    const state = this.#stateOf(link);
    const entry = (isOutward(cell.type) ? state.theirs : state.ours).get(cell.circuit);
    if (cell.type === 'create') this.#create(link, cell);
    else if (cell.type === 'join') this.#join(link, cell);
    // Cells of a circuit that is over may still be on their way, and those of one that never was change nothing.
    else entry?.circuit.take(entry.port.kind, cell.type, cell.body);
  }

  linkClosed(link: L): void {
    const state = this.#links.get(link);
    if (state === undefined) return;
    this.#links.delete(link);
    for (const { circuit, port } of [...state.theirs.values(), ...state.ours.values()]) {
      port.end();
      circuit.lost(port.kind);
    }
  }

  /** To be called every second or so. */
  sweep(): void {
    const nowMs = this.#options.nowMs();
    for (const circuit of [...this.#circuits]) circuit.sweep(nowMs);
  }

  /** Ends all circuits. */
  stop(): void {
    for (const circuit of [...this.#circuits]) circuit.close('stopped');
  }

  #create(link: L, cell: Cell): void {
    try {
      const circuit = this.#handshake(link, cell);
      const port = this.#addPort(circuit, 'previous', { link, id: cell.circuit });
      this.#circuits.add(circuit);
      circuit.begin(port);
    } catch (error) {
      const reason = error instanceof CircuitError ? error.reason : 'protocol';
      this.#refuse(link, cell.circuit, reason);
    }
  }

  /** @throws CircuitError, DecodeError */
  #handshake(link: L, { circuit: id, body }: Cell): HopCircuit<L> {
    const { self, keys, random, nowMs } = this.#options;
    const { theirs, creates } = this.#stateOf(link);
    if (theirs.has(id)) {
      theirs.get(id)?.circuit.close('protocol');
      throw new CircuitError('protocol', 'a circuit of this id is there');
    }
    if (this.#circuits.size >= limits.circuitsMax || theirs.size >= limits.circuitsPerLinkMax) {
      throw new CircuitError('busy');
    }
    // Before the costly part.
    if (!creates.take(nowMs())) throw new CircuitError('busy');
    const own = { id: publicKeyOf(self), verification, secretOf: (key: Uint8Array) => keys.secretOf(key) };
    const handshake = readHandshake(readHandshakeBody(body), own);
    const { clientKey, hopKey } = handshake;
    if (!keys.firstUse(hopKey, clientKey)) throw new CircuitError('replayed');
    const role = decodeRole(handshake.message);
    const { keys: stream, answer } = handshake.accept(random);
    return new HopCircuit({ host: this.#host, role, keys: circuitKeys(stream), clientKey, answer });
  }

  #join(link: L, { circuit: id, body }: Cell): void {
    const cookie = bytesToHex(readCookieBody(body));
    const circuit = this.#cookies.get(cookie);
    const { theirs } = this.#stateOf(link);
    const awaited = circuit?.awaited === this.#options.peerOf(link);
    if (circuit === undefined || !awaited || theirs.has(id)) {
      theirs.get(id)?.circuit.close('protocol');
      this.#refuse(link, id, 'not-allowed');
      return;
    }
    this.#cookies.delete(cookie);
    circuit.joinedBy(this.#addPort(circuit, 'joined', { link, id }));
  }

  #refuse(link: L, id: number, reason: CircuitReason): void {
    const { random, send } = this.#options;
    const frame = encodeCell({ type: 'destroyed', circuit: id, body: destroyBody(reason, random) });
    // Who left needs no answer.
    send(link, frame).catch(() => undefined);
  }

  #makeHost(): HopHost<L> {
    const { random, nowMs, outputs } = this.#options;
    return {
      random,
      nowMs,
      outputs,
      refusal: (peer, from) => this.#refusal(peer, from),
      open: (circuit, kind, link) => this.#addPort(circuit, kind, { link, id: this.#freeId(link) }),
      offer: (cookie, circuit) => {
        const name = bytesToHex(cookie);
        if (this.#cookies.has(name)) return false;
        this.#cookies.set(name, circuit);
        return true;
      },
      withdraw: (cookie) => this.#cookies.delete(bytesToHex(cookie)),
      hold: (cells) => this.#hold(cells),
      ended: (circuit) => this.#circuits.delete(circuit),
    };
  }

  #refusal(peer: PeerId, from: L): CircuitReason | undefined {
    const { self, peerOf, nowMs } = this.#options;
    if (peer === self || peer === peerOf(from)) return 'not-allowed';
    return this.#stateOf(from).extensions.take(nowMs()) ? undefined : 'busy';
  }

  #hold(cells: number): void {
    if (cells > 0 && this.#held + cells > limits.heldCellsMax) throw new CircuitError('busy');
    this.#held += cells;
  }

  #addPort(circuit: HopCircuit<L>, kind: PortKind, { link, id }: { link: L; id: number }): Port<L> {
    const state = this.#stateOf(link);
    const place = kind === 'previous' || kind === 'joined' ? state.theirs : state.ours;
    const port = new Port<L>({
      kind,
      link,
      id,
      random: this.#options.random,
      send: (frame) => this.#options.send(link, frame),
      hold: (cells) => this.#hold(cells),
      forget: () => place.delete(id),
      onLost: () => circuit.lost(kind),
    });
    place.set(id, { circuit, port });
    return port;
  }

  #freeId(link: L): number {
    const { ours } = this.#stateOf(link);
    for (;;) {
      const id = new DataView(this.#options.random(4).slice().buffer).getUint32(0);
      if (!ours.has(id)) return id;
    }
  }

  #stateOf(link: L): LinkState<L> {
    const known = this.#links.get(link);
    if (known !== undefined) return known;
    const nowMs = this.#options.nowMs();
    const rate = { burst: limits.createsBurst, perSecond: limits.createsPerSecond };
    const state = {
      theirs: new Map<number, Entry<L>>(),
      ours: new Map<number, Entry<L>>(),
      creates: new TokenBucket(rate, nowMs),
      extensions: new TokenBucket(rate, nowMs),
    };
    this.#links.set(link, state);
    return state;
  }
}
