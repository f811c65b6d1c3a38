/** Peers with hop tables, and clients, on links that carry frames in order and only when the test says so. */
import { identityFromSeed, type ManifestHash, type PeerId, type WireError } from '@unfed/protocol';
import { ClientCircuit, type ClientOutputs, type HopTarget } from './client-circuit.ts';
import { decodeCell } from './cell.ts';
import type { CircuitReason } from './errors.ts';
import { HopKeys } from './hop-keys.ts';
import { HopTable } from './hop-table.ts';
import type { HopCircuit } from './hop.ts';
import type { StageRole } from './messages.ts';
import { seededBytes } from './seeded-random.fixture.ts';

/** One end of a link. */
export interface End {
  /** Whose end it is, and who is at the other. */
  readonly of: string;
  readonly to: string;
  other: End;
}

export interface Sent {
  readonly from: string;
  readonly to: string;
  readonly frame: Uint8Array;
}

export const manifest = 'c'.repeat(64) as ManifestHash;

/** A hop of the test: what it does as a stage may be changed. */
export class WorldPeer {
  readonly name: string;
  readonly peer: PeerId;
  readonly keys: HopKeys;
  readonly table: HopTable<End>;
  readonly stages = new Set<HopCircuit<End>>();
  readonly messages: Uint8Array[] = [];
  readonly closings: CircuitReason[] = [];
  readonly prepared: PeerId[] = [];
  readonly #world: World;
  refuse: WireError | undefined;
  /** Answers the client's request for an extension; undefined: opens the link. */
  extendReason: CircuitReason | undefined;
  silent = false;

  constructor(name: string, seed: number, world: World) {
    this.name = name;
    this.#world = world;
    const random = seededBytes(seed);
    this.peer = identityFromSeed(random(32)).peer;
    const nowMs = (): number => world.nowMs;
    this.keys = new HopKeys({ nowMs, random });
    this.table = new HopTable<End>({
      self: this.peer,
      keys: this.keys,
      random,
      nowMs,
      send: (link, frame) => world.carry(link, frame),
      peerOf: (link) => world.idOf(link.to),
      outputs: {
        prepare: (peer) => void this.prepared.push(peer),
        extend: (circuit, peer) => this.#extend(circuit, peer),
        openStage: (circuit, role) => this.#openStage(circuit, role),
        message: (circuit, message) => this.#message(circuit, message),
        closed: (circuit, reason) => {
          this.stages.delete(circuit);
          this.closings.push(reason);
        },
        fault: (error) => void world.faults.push(error),
      },
    });
  }

  get target(): HopTarget {
    return { peer: this.peer, hopKey: this.keys.announced[0] };
  }

  #extend(circuit: HopCircuit<End>, peer: PeerId): void {
    const to = this.#world.nameOf(peer);
    if (this.extendReason !== undefined) circuit.extendFailed(this.extendReason);
    else if (to === undefined) circuit.extendFailed('unknown-peer');
    else circuit.extendTo(this.#world.link(this.name, to));
  }

  #openStage(circuit: HopCircuit<End>, { next }: StageRole): void {
    if (this.silent) return;
    if (this.refuse !== undefined) {
      circuit.refuse(this.refuse);
      return;
    }
    this.stages.add(circuit);
    const to = 'peer' in next ? this.#world.nameOf(next.peer) : undefined;
    circuit.accept({ held: 0, rendezvous: to === undefined ? undefined : this.#world.link(this.name, to) });
  }

  /** A stage here adds one to every byte. */
  #message(circuit: HopCircuit<End>, message: Uint8Array): void {
    this.messages.push(message);
    void circuit.sendResult(
      message.map((byte) => byte + 1),
      { padded: false },
    );
  }
}

/** Everything that a client was told, as text. */
export class WorldClient {
  readonly events: string[] = [];
  readonly results: Uint8Array[] = [];
  readonly circuit: ClientCircuit;

  constructor(world: World, guard: string, id: number) {
    const link = world.link('client', guard);
    const say = (text: string): void => void this.events.push(text);
    const outputs: ClientOutputs = {
      send: (frame) => world.carry(link, frame),
      extended: (hop, held) => say(`extended ${hop} ${held}`),
      failed: (hop, { code }) => say(`failed ${hop} ${code}`),
      truncated: (hop, side, reason) => say(`truncated ${hop} ${side} ${reason}`),
      established: (hop) => say(`established ${hop}`),
      looped: (hop, number) => say(`looped ${hop} ${number}`),
      result: (message) => void this.results.push(message),
      ended: (reason, suspects) => say(`ended ${reason} ${suspects.join()}`),
    };
    this.circuit = new ClientCircuit({ id, random: seededBytes(900 + id), outputs });
    world.clients.set(`${guard} ${id}`, this.circuit);
  }

  /** What was said since the last call. */
  heard(): string[] {
    return this.events.splice(0);
  }
}

export class World {
  nowMs = 0;
  readonly peers = new Map<string, WorldPeer>();
  readonly clients = new Map<string, ClientCircuit>();
  readonly sent: Sent[] = [];
  readonly faults: unknown[] = [];
  readonly #ends = new Map<string, End>();
  #queue: { to: End; frame: Uint8Array }[] = [];
  /** What comes of a frame on its way; default: itself. */
  tamper: (sent: Sent, index: number) => readonly Uint8Array[] = ({ frame }) => [frame];

  constructor(names: readonly string[]) {
    for (const [i, name] of names.entries()) this.peers.set(name, new WorldPeer(name, 100 + i, this));
  }

  peer(name: string): WorldPeer {
    const peer = this.peers.get(name);
    if (peer === undefined) throw new Error(`no peer ${name}`);
    return peer;
  }

  nameOf(id: PeerId): string | undefined {
    return [...this.peers.values()].find(({ peer }) => peer === id)?.name;
  }

  idOf(name: string): PeerId {
    return this.peers.get(name)?.peer ?? identityFromSeed(new Uint8Array(32).fill(name.length)).peer;
  }

  /** The end of `from` of the one link between two. */
  link(from: string, to: string): End {
    const known = this.#ends.get(`${from} ${to}`);
    if (known !== undefined) return known;
    const near = { of: from, to } as End;
    const far: End = { of: to, to: from, other: near };
    near.other = far;
    this.#ends.set(`${from} ${to}`, near);
    this.#ends.set(`${to} ${from}`, far);
    return near;
  }

  carry(link: End, frame: Uint8Array): Promise<void> {
    const sent = { from: link.of, to: link.to, frame };
    this.sent.push(sent);
    for (const each of this.tamper(sent, this.sent.length - 1)) this.#queue.push({ to: link.other, frame: each });
    return Promise.resolve();
  }

  /** Delivers until nothing is on its way. */
  async run(): Promise<void> {
    for (;;) {
      const next = this.#queue.shift();
      if (next === undefined) break;
      const { to, frame } = next;
      if (to.of === 'client') {
        const cell = decodeCell(frame);
        this.clients.get(`${to.to} ${cell.circuit}`)?.receive(cell);
      } else this.peers.get(to.of)?.table.receive(to, frame);
    }
    await Promise.resolve();
  }

  /** Both ends lose a link, and what was on its way. */
  cut(a: string, b: string): void {
    const near = this.link(a, b);
    this.#queue = this.#queue.filter(({ to }) => to !== near && to !== near.other);
    this.#ends.delete(`${a} ${b}`);
    this.#ends.delete(`${b} ${a}`);
    for (const end of [near, near.other]) this.peers.get(end.of)?.table.linkClosed(end);
  }
}

export const key = (number: number): Uint8Array => new Uint8Array(32).fill(number);

/** The part of stage `index` of `count`, with the rendezvous at `forwarder`. */
export function stageRole(index: number, count: number, forwarder: PeerId): StageRole {
  return {
    role: 'stage',
    manifest,
    first: index,
    last: index + 1,
    positionsMax: 64,
    previous: index === 0 ? null : key(index),
    next: index === count - 1 ? { peer: forwarder, cookie: new Uint8Array(16).fill(5) } : { key: key(index + 1) },
    resume: null,
  };
}

/** A client with a whole circuit: forwarders and stages by name, f0… and s0…. */
export async function build(
  world: World,
  { forwarders, stages, id = 1 }: { forwarders: number; stages: number; id?: number },
) {
  const client = new WorldClient(world, 'f0', id);
  for (let i = 0; i < forwarders; i++) {
    client.circuit.extend(world.peer(`f${i}`).target, { role: 'forward' });
    await world.run();
  }
  const last = world.peer(`f${forwarders - 1}`).peer;
  client.circuit.establish(new Uint8Array(16).fill(5), world.peer(`s${stages - 1}`).peer);
  for (let i = 0; i < stages; i++) {
    client.circuit.extend(world.peer(`s${i}`).target, stageRole(i, stages, last));
    await world.run();
  }
  return client;
}

export function namesOf(forwarders: number, stages: number): string[] {
  return [
    ...Array.from({ length: forwarders }, (_, i) => `f${i}`),
    ...Array.from({ length: stages }, (_, i) => `s${i}`),
  ];
}

/** A step that tells its bytes apart. */
export const step = Uint8Array.from({ length: 300 }, (_, i) => i % 250);

/** A whole circuit in a world with one stranger, x0, and nothing heard or sent as yet. */
export async function whole(forwarders = 2, stages = 2) {
  const world = new World([...namesOf(forwarders, stages), 'x0']);
  const client = await build(world, { forwarders, stages });
  client.heard();
  world.sent.length = 0;
  return { world, client };
}

/** The frame with one bit changed. */
export function flip(frame: Uint8Array, at = 2000): Uint8Array {
  const changed = frame.slice();
  changed[at] ^= 1;
  return changed;
}
