/**
 * One run of a simulated swarm. What is simulated is the network alone: each uploader's capacity is shared by the chunks
 * that it is sending, and messages take their time. Who asks whom for what, and who lets whom, is the real code's. Left
 * out: download capacity (it is rarely the narrower side of a line) and loss.
 */
import { Choker, OriginTurns, peerHash, Picker, RateMeter, slotsFor, swarmLimits } from '@unfed/swarm';
import { seededRandom } from '@unfed/testing';
import { EventQueue } from './event-queue.ts';

export interface SwarmRun {
  readonly peers: number;
  /** Of 1 MiB each. */
  readonly chunks: number;
  readonly seed: number;
  /** The origin goes when it has sent so much, or nothing is asked of it any more. */
  readonly originLeavesAtCopies: number;
}

export interface SwarmOutcome {
  readonly seconds: number;
  readonly boundSeconds: number;
  readonly originCopies: number;
  readonly lost: number;
  readonly peersLeft: number;
  /** Bytes that came twice, of all. */
  readonly wastedPart: number;
}

const chunkBytes = 1 << 20;
const delayMs = 50;
const originBytesPerMs = 12_500;
/** Upload rates in bytes a ms: 40, 10, 5 and 1 Mbit/s, and how many have each. */
const rates = [
  { part: 0.1, bytesPerMs: 5000 },
  { part: 0.3, bytesPerMs: 1250 },
  { part: 0.4, bytesPerMs: 625 },
  { part: 0.2, bytesPerMs: 125 },
];
/** All come within this time; so many of them go before they have everything; who has everything stays about so long. */
const arrivalMs = 30_000;
const quitterPart = 0.15;
const quitAfterMsMax = 150_000;
const lingerMs = 600_000;
/** What the origin may give counts as given from the start. */
const originCopiesAllowed = 1.2;
const originIdleMs = 30_000;
const patienceMs = 20 * 60_000;

export function runSwarm(run: SwarmRun): SwarmOutcome {
  return new Simulation(run).run();
}

interface Flow {
  readonly to: SimPeer;
  readonly chunk: number;
  leftBytes: number;
}

/** Capacity shared evenly by what is being sent. */
class Uplink {
  readonly flows: Flow[] = [];
  sentBytes = 0;
  readonly #source: string;
  readonly #bytesPerMs: number;
  readonly #queue: EventQueue;
  readonly #onSent: (flow: Flow) => void;
  #settledMs = 0;
  #version = 0;

  constructor(
    { source, bytesPerMs, queue }: { source: string; bytesPerMs: number; queue: EventQueue },
    onSent: (flow: Flow) => void,
  ) {
    this.#source = source;
    this.#bytesPerMs = bytesPerMs;
    this.#queue = queue;
    this.#onSent = onSent;
  }

  start(flow: Flow): void {
    this.#settle();
    this.flows.push(flow);
    this.#plan();
  }

  stop(matches: (flow: Flow) => boolean): Flow[] {
    this.#settle();
    const stopped = this.flows.filter(matches);
    for (const flow of stopped) this.flows.splice(this.flows.indexOf(flow), 1);
    if (stopped.length > 0) this.#plan();
    return stopped;
  }

  #settle(): void {
    const nowMs = this.#queue.nowMs;
    const each = ((nowMs - this.#settledMs) * this.#bytesPerMs) / Math.max(1, this.flows.length);
    for (const flow of this.flows) {
      const sent = Math.min(each, flow.leftBytes);
      flow.leftBytes -= sent;
      this.sentBytes += sent;
      // Parts of a chunk arrive all the while; the remainder of a byte comes with the end.
      if (sent >= 1) flow.to.picker.progress(this.#source, { chunk: flow.chunk, bytes: Math.floor(sent), nowMs });
    }
    this.#settledMs = nowMs;
  }

  #plan(): void {
    const version = ++this.#version;
    if (this.flows.length === 0) return;
    const leastBytes = Math.min(...this.flows.map(({ leftBytes }) => leftBytes));
    this.#queue.after((leastBytes * this.flows.length) / this.#bytesPerMs, () => {
      if (version !== this.#version) return;
      this.#settle();
      const sent = this.flows.filter(({ leftBytes }) => leftBytes < 1);
      for (const flow of sent) this.flows.splice(this.flows.indexOf(flow), 1);
      this.#plan();
      for (const flow of sent) this.#onSent(flow);
    });
  }
}

interface Neighbour {
  readonly peer: SimPeer;
  readonly given: RateMeter;
  readonly taken: RateMeter;
  /** What it asked of us and we have not begun to send. */
  readonly waiting: number[];
  /** We let it download. */
  unchoked: boolean;
}

class SimPeer {
  readonly id: string;
  readonly hash: number;
  readonly bytesPerMs: number;
  readonly picker: Picker;
  readonly choker: Choker;
  readonly uplink: Uplink;
  readonly neighbours = new Map<string, Neighbour>();
  doneMs: number | undefined;
  /** Somebody wants what it holds. */
  hasTakers = false;
  present = false;
  rechoking = false;

  constructor(number: number, bytesPerMs: number, { random, sim }: { random: () => number; sim: Simulation }) {
    this.id = `peer ${number}`;
    this.hash = peerHash(this.id);
    this.bytesPerMs = bytesPerMs;
    this.choker = new Choker({ random });
    this.uplink = new Uplink({ source: this.id, bytesPerMs, queue: sim.queue }, (flow) => sim.sent(this, flow));
    const turns = new OriginTurns(
      this.hash,
      () => sim.hashes,
      () => this.hasTakers,
    );
    this.picker = new Picker({
      chunks: sim.chunks,
      random,
      originTurn: (chunk, need, nowMs) => turns.order(chunk, need, nowMs),
    });
  }
}

class Simulation {
  readonly queue = new EventQueue();
  readonly chunks: number;
  readonly #run: SwarmRun;
  readonly #random: () => number;
  readonly #present: SimPeer[] = [];
  /** Numbers of all who are announced. */
  hashes: readonly number[] = [];
  readonly #copies: Uint32Array;
  readonly #origin: Uplink;
  #originIsHere = true;
  #originAskedMs = 0;
  #lost = 0;
  #finished = 0;
  #toFinish: number;
  #lastDoneMs = 0;
  #capacityBytes = 0;
  #capacityAtMs = 0;
  #boundMs: number | undefined;
  #wastedBytes = 0;
  #receivedBytes = 0;
  #left = 0;

  constructor(run: SwarmRun) {
    this.#run = run;
    this.chunks = run.chunks;
    this.#random = seededRandom(run.seed);
    this.#copies = new Uint32Array(run.chunks);
    const origin = { source: 'origin', bytesPerMs: originBytesPerMs, queue: this.queue };
    this.#origin = new Uplink(origin, (flow) => this.sent(undefined, flow));
    this.#toFinish = run.peers;
  }

  run(): SwarmOutcome {
    const { peers, chunks, originLeavesAtCopies } = this.#run;
    for (let number = 0; number < peers; number++) this.#plan(number);
    if (Number.isFinite(originLeavesAtCopies)) this.#watchOrigin();
    while (this.#finished < this.#toFinish && this.queue.nowMs < patienceMs && this.queue.step());
    const done = this.#finished === this.#toFinish;
    return {
      seconds: done ? this.#lastDoneMs / 1000 : Infinity,
      boundSeconds: this.#bound() / 1000,
      originCopies: this.#origin.sentBytes / chunkBytes / chunks,
      lost: this.#lost,
      peersLeft: this.#left,
      wastedPart: this.#wastedBytes / Math.max(1, this.#receivedBytes),
    };
  }

  /** What the peers' capacities, all of them used while they were there, would have taken at least. */
  #bound(): number {
    this.#countCapacity();
    return this.#boundMs ?? this.queue.nowMs;
  }

  #countCapacity(): void {
    const nowMs = this.queue.nowMs;
    const bytesPerMs = this.#present.reduce((sum, peer) => sum + peer.bytesPerMs, 0);
    const neededBytes = (this.#toFinish - originCopiesAllowed) * this.chunks * chunkBytes;
    const before = this.#capacityBytes;
    this.#capacityBytes += (nowMs - this.#capacityAtMs) * bytesPerMs;
    if (this.#boundMs === undefined && this.#capacityBytes >= neededBytes) {
      this.#boundMs = this.#capacityAtMs + (neededBytes - before) / bytesPerMs;
    }
    this.#capacityAtMs = nowMs;
  }

  #plan(number: number): void {
    const random = seededRandom(this.#run.seed * 100_003 + number);
    let draw = random();
    const rate = rates.find(({ part }) => (draw -= part) < 0) ?? rates[rates.length - 1];
    const peer = new SimPeer(number, rate?.bytesPerMs ?? 0, { random, sim: this });
    const joinMs = random() * arrivalMs;
    this.queue.after(joinMs, () => this.#join(peer));
    if (random() >= quitterPart) return;
    this.#toFinish--;
    this.queue.after(joinMs + random() * quitAfterMsMax, () => this.#leave(peer));
  }

  #join(peer: SimPeer): void {
    this.#countCapacity();
    peer.present = true;
    this.#present.push(peer);
    this.hashes = this.#present.map(({ hash }) => hash);
    for (let chunk = 0; chunk < this.chunks; chunk++) peer.picker.want(chunk, 0);
    if (this.#originIsHere) peer.picker.add('origin', 'origin');
    const tick = (): void => {
      if (!peer.present) return;
      this.#meet(peer);
      this.#rechoke(peer, true);
      this.queue.after(swarmLimits.rechokeMs, tick);
    };
    tick();
    const askOrigin = (): void => {
      if (!peer.present || peer.doneMs !== undefined) return;
      this.#askOrigin(peer);
      this.queue.after(1000, askOrigin);
    };
    askOrigin();
  }

  #meet(peer: SimPeer): void {
    const wanted = swarmLimits.neighboursDialledMax;
    for (let tries = 0; peer.neighbours.size < wanted && tries < 3 * wanted; tries++) {
      const other = this.#present[Math.floor(this.#random() * this.#present.length)];
      if (other === undefined || other === peer || peer.neighbours.has(other.id)) continue;
      if (other.neighbours.size >= swarmLimits.neighboursMax) continue;
      for (const [one, two] of [[peer, other] as const, [other, peer] as const]) {
        one.neighbours.set(two.id, {
          peer: two,
          given: new RateMeter(),
          taken: new RateMeter(),
          waiting: [],
          unchoked: false,
        });
        one.picker.add(two.id, 'peer');
        for (let chunk = 0; chunk < this.chunks; chunk++)
          if (two.picker.holds(chunk)) one.picker.gain(two.id, chunk, this.queue.nowMs);
      }
      this.#rechokeSoon(other);
    }
  }

  #leave(peer: SimPeer): void {
    if (!peer.present) return;
    this.#countCapacity();
    peer.present = false;
    if (peer.doneMs === undefined) this.#left++;
    this.#present.splice(this.#present.indexOf(peer), 1);
    this.hashes = this.#present.map(({ hash }) => hash);
    peer.uplink.stop(() => true);
    this.#origin.stop(({ to }) => to === peer);
    for (const { peer: other } of peer.neighbours.values()) {
      other.neighbours.delete(peer.id);
      other.picker.remove(peer.id);
      other.uplink.stop(({ to }) => to === peer);
      for (const { peer: uploader } of other.neighbours.values()) this.#ask(other, uploader);
      this.#rechokeSoon(other);
    }
    peer.neighbours.clear();
    for (let chunk = 0; chunk < this.chunks; chunk++) {
      if (peer.picker.holds(chunk)) this.#copies[chunk] = (this.#copies[chunk] ?? 0) - 1;
    }
    this.#countLost();
  }

  /** It also goes when every chunk is somewhere and nobody has asked for a while: then 1.5 copies are never sent. */
  #watchOrigin(): void {
    this.queue.after(1000, () => {
      const isIdle = this.#origin.flows.length === 0 && this.queue.nowMs - this.#originAskedMs > originIdleMs;
      if (isIdle && this.#copies.every((copies) => copies > 0)) this.#originLeaves();
      else if (this.#originIsHere) this.#watchOrigin();
    });
  }

  #originLeaves(): void {
    if (!this.#originIsHere) return;
    this.#countCapacity();
    this.#originIsHere = false;
    for (const { to, chunk } of this.#origin.stop(() => true)) to.picker.fail('origin', chunk);
    for (const peer of this.#present) peer.picker.remove('origin');
    this.#countLost();
  }

  #countLost(): void {
    if (this.#originIsHere) return;
    const lost = this.#copies.reduce((count, copies) => count + (copies === 0 ? 1 : 0), 0);
    this.#lost = Math.max(this.#lost, lost);
  }

  #askOrigin(peer: SimPeer): void {
    if (!this.#originIsHere) return;
    for (const chunk of peer.picker.next('origin', this.queue.nowMs)) {
      this.#originAskedMs = this.queue.nowMs;
      this.queue.after(delayMs, () => {
        const isAsked = peer.present && this.#originIsHere && peer.picker.askedOf('origin').includes(chunk);
        if (isAsked) this.#origin.start({ to: peer, chunk, leftBytes: chunkBytes });
      });
    }
  }

  /** `peer` asks `uploader` for what its picker says. */
  #ask(peer: SimPeer, uploader: SimPeer): void {
    const chunks = peer.picker.next(uploader.id, this.queue.nowMs);
    if (chunks.length === 0) return;
    this.queue.after(delayMs, () => {
      const neighbour = uploader.neighbours.get(peer.id);
      if (neighbour === undefined) return;
      const asked = peer.picker.askedOf(uploader.id);
      neighbour.waiting.push(...chunks.filter((chunk) => asked.includes(chunk)));
      if (neighbour.unchoked) this.#serve(uploader, neighbour);
      else this.#refuse(uploader, neighbour);
    });
  }

  #refuse(uploader: SimPeer, neighbour: Neighbour): void {
    for (const chunk of neighbour.waiting.splice(0)) neighbour.peer.picker.fail(uploader.id, chunk);
  }

  /** One chunk at a time to each. */
  #serve(uploader: SimPeer, neighbour: Neighbour): void {
    if (uploader.uplink.flows.some(({ to }) => to === neighbour.peer)) return;
    const chunk = neighbour.waiting.shift();
    if (chunk !== undefined) uploader.uplink.start({ to: neighbour.peer, chunk, leftBytes: chunkBytes });
  }

  sent(uploader: SimPeer | undefined, { to, chunk }: Flow): void {
    if (uploader === undefined) {
      const leavesAt = this.#run.originLeavesAtCopies * this.chunks * chunkBytes;
      if (this.#origin.sentBytes >= leavesAt) this.#originLeaves();
    } else {
      const neighbour = uploader.neighbours.get(to.id);
      neighbour?.taken.add(chunkBytes, this.queue.nowMs);
      if (neighbour !== undefined) this.#serve(uploader, neighbour);
    }
    this.queue.after(delayMs, () => this.#arrive(to, uploader, chunk));
  }

  #arrive(peer: SimPeer, uploader: SimPeer | undefined, chunk: number): void {
    if (!peer.present) return;
    const nowMs = this.queue.nowMs;
    const from = uploader?.id ?? 'origin';
    this.#receivedBytes += chunkBytes;
    if (peer.picker.holds(chunk)) {
      this.#wastedBytes += chunkBytes;
      return;
    }
    peer.picker.progress(from, { chunk, bytes: chunkBytes, nowMs });
    if (uploader !== undefined) peer.neighbours.get(from)?.given.add(chunkBytes, nowMs);
    for (const other of peer.picker.hold(chunk)) if (other !== from) this.#cancel(peer, other, chunk);
    this.#copies[chunk] = (this.#copies[chunk] ?? 0) + 1;
    if (peer.picker.missingCount === 0) this.#done(peer);
    if (uploader !== undefined) this.#ask(peer, uploader);
    else this.#askOrigin(peer);
    this.queue.after(delayMs, () => this.#announce(peer, chunk));
  }

  #cancel(peer: SimPeer, from: string, chunk: number): void {
    const uploader = peer.neighbours.get(from)?.peer;
    const uplink = from === 'origin' ? this.#origin : uploader?.uplink;
    for (const { leftBytes } of uplink?.stop((flow) => flow.to === peer && flow.chunk === chunk) ?? []) {
      this.#wastedBytes += chunkBytes - leftBytes;
    }
    const neighbour = uploader?.neighbours.get(peer.id);
    if (uploader === undefined || neighbour === undefined) return;
    const place = neighbour.waiting.indexOf(chunk);
    if (place >= 0) neighbour.waiting.splice(place, 1);
    this.#serve(uploader, neighbour);
  }

  #done(peer: SimPeer): void {
    peer.doneMs = this.queue.nowMs;
    this.#finished++;
    this.#lastDoneMs = this.queue.nowMs;
    this.queue.after(-Math.log(1 - this.#random()) * lingerMs, () => this.#leave(peer));
  }

  /** The neighbours hear of a new chunk. */
  #announce(peer: SimPeer, chunk: number): void {
    if (!peer.present) return;
    for (const { peer: other, unchoked } of peer.neighbours.values()) {
      const wasInteresting = other.picker.isInteresting(peer.id);
      other.picker.gain(peer.id, chunk, this.queue.nowMs);
      if (unchoked) this.#ask(other, peer);
      else if (!wasInteresting && other.picker.isInteresting(peer.id)) this.#rechokeSoon(peer);
    }
    // Those that have nothing for us any more learn so, and let others download instead.
    for (const { peer: other } of peer.neighbours.values()) {
      if (other.neighbours.get(peer.id)?.unchoked === true && !peer.picker.isInteresting(other.id)) {
        this.#rechokeSoon(other);
      }
    }
  }

  #rechokeSoon(peer: SimPeer): void {
    if (peer.rechoking) return;
    peer.rechoking = true;
    this.queue.after(swarmLimits.tickMs, () => {
      peer.rechoking = false;
      if (peer.present) this.#rechoke(peer, false);
    });
  }

  #rechoke(peer: SimPeer, turns: boolean): void {
    const nowMs = this.queue.nowMs;
    const peers = [...peer.neighbours.values()].map((neighbour) => ({
      id: neighbour.peer.id,
      interested: neighbour.peer.picker.isInteresting(peer.id),
      givenBytesPerSecond: neighbour.given.bytesPerSecond(nowMs),
      takenBytesPerSecond: neighbour.taken.bytesPerSecond(nowMs),
    }));
    peer.hasTakers = peers.some(({ interested }) => interested);
    const chosen = peer.choker.choose(peers, {
      complete: peer.picker.missingCount === 0,
      turns,
      slots: slotsFor(peer.bytesPerMs * 1000),
    });
    for (const neighbour of peer.neighbours.values()) {
      const { peer: other } = neighbour;
      const unchoked = chosen.has(other.id);
      if (unchoked === neighbour.unchoked) continue;
      neighbour.unchoked = unchoked;
      if (unchoked) {
        other.picker.unchoke(peer.id);
        this.#ask(other, peer);
      } else {
        other.picker.choke(peer.id);
        this.#refuse(peer, neighbour);
      }
    }
  }
}
