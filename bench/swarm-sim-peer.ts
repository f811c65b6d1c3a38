/** One peer of a simulated swarm: the real picker, choker, slots and turns at the origin on a simulated line. */
import { Choker, OriginTurns, peerHash, Picker, RateMeter, UploadSlots } from '@unfed/swarm';
import type { EventQueue } from './event-queue.ts';
import { Uplink, type Flow } from './swarm-sim-uplink.ts';

/** What a peer knows of another that it is linked to. */
export interface Neighbour {
  readonly peer: SimPeer;
  readonly given: RateMeter;
  readonly taken: RateMeter;
  /** What it asked of us and we have not begun to send. */
  readonly waiting: number[];
  /** We let it download. */
  unchoked: boolean;
  /** We said that we want something of it; it said so to us. */
  weWant: boolean;
  theyWant: boolean;
}

export interface SimPeerParts {
  readonly number: number;
  readonly chunks: number;
  readonly bytesPerMs: number;
  readonly queue: EventQueue;
  readonly random: () => number;
  /** Numbers of all that are announced. */
  readonly announced: () => readonly number[];
  /** Its line carries more than it was known to. */
  readonly onMoreSlots: (peer: SimPeer) => void;
  readonly onSent: (peer: SimPeer, flow: Flow<SimPeer>) => void;
}

export class SimPeer {
  readonly id: string;
  readonly hash: number;
  readonly bytesPerMs: number;
  readonly random: () => number;
  readonly picker: Picker;
  readonly choker: Choker;
  readonly slots = new UploadSlots();
  readonly sentRate = new RateMeter();
  readonly uplink: Uplink<SimPeer>;
  readonly neighbours = new Map<string, Neighbour>();
  /** Links that are being opened. */
  readonly dialling = new Set<SimPeer>();
  joinedMs = 0;
  present = false;
  isDone = false;
  isRechoking = false;

  constructor({ number, chunks, bytesPerMs, queue, random, announced, onMoreSlots, onSent }: SimPeerParts) {
    this.id = `peer ${number}`;
    this.hash = peerHash(this.id);
    this.bytesPerMs = bytesPerMs;
    this.random = random;
    this.choker = new Choker({ random });
    const turns = new OriginTurns({
      self: this.hash,
      others: () => announced().filter((hash) => hash !== this.hash),
      hasTakers: () => this.hasTakers,
      sentBytesPerSecond: () => this.slots.peakBytesPerSecond,
    });
    this.picker = new Picker({
      chunks,
      random,
      originTurn: (chunk, need, nowMs) => turns.order(chunk, need, nowMs),
    });
    this.uplink = new Uplink<SimPeer>({
      bytesPerMs,
      queue,
      onBytes: ({ to, chunk }, bytes) => {
        this.sentRate.add(bytes, queue.nowMs);
        if (this.slots.see(this.sentRate.bytesPerSecond(queue.nowMs), Infinity)) onMoreSlots(this);
        this.neighbours.get(to.id)?.taken.add(bytes, queue.nowMs);
        to.take(this.id, chunk, { bytes, nowMs: queue.nowMs });
      },
      onSent: (flow) => onSent(this, flow),
    });
  }

  /** Somebody wants what it holds. */
  get hasTakers(): boolean {
    for (const { theyWant } of this.neighbours.values()) if (theyWant) return true;
    return false;
  }

  /** Parts of a chunk arrive. */
  take(from: string, chunk: number, { bytes, nowMs }: { bytes: number; nowMs: number }): void {
    this.neighbours.get(from)?.given.add(bytes, nowMs);
    // A remainder of a byte comes with the end.
    if (bytes >= 1) this.picker.progress(from, { chunk, bytes: Math.floor(bytes), nowMs });
  }

  /** One chunk at a time to each neighbour. */
  serve(neighbour: Neighbour, chunkBytes: number): void {
    if (!this.present || this.uplink.flows.some(({ to }) => to === neighbour.peer)) return;
    const chunk = neighbour.waiting.shift();
    if (chunk !== undefined) this.uplink.start({ to: neighbour.peer, chunk, leftBytes: chunkBytes });
  }
}
