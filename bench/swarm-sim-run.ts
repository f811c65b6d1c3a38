/**
 * One run of a simulated swarm. What is simulated is the network alone; who asks whom for what, who lets whom, and who
 * asks the origin, is the code of @unfed/swarm that downloads run.
 *
 * As in the world: a peer learns of others when their announcements reach it, and its first words at the directory take
 * as long; it dials a few at a time; messages take their time; a peer that goes says nothing, is noticed seconds later,
 * and what was sent to it meanwhile is lost; nobody knows its line's rate but by what it sent. Each uploader's capacity
 * is shared evenly by the chunks that it is sending, one to each neighbour.
 *
 * Assumed: all peers want the whole model, come within 30 s, and nobody has anything; a seventh of them goes before it has
 * everything, some soon; who has everything stays ten minutes on average. The origin is a plain server on a line of
 * 100 Mbit/s. Where it leaves, it does so after 1.5 copies, or when for 30 s nobody asked it and every chunk was somewhere.
 * The bound counts the capacity of every peer from its first second to its last, though at first none has anything to
 * give, and nothing of what those took who left.
 *
 * Left out: the download side of lines (rarely the narrower one), loss, failed dials, stalls, hashing, disks, and liars.
 */
import { RateMeter, swarmLimits } from '@unfed/swarm';
import { seededRandom } from '@unfed/testing';
import { EventQueue } from './event-queue.ts';
import { SimPeer, type Neighbour } from './swarm-sim-peer.ts';
import { Uplink, type Flow } from './swarm-sim-uplink.ts';

export interface SwarmRun {
  readonly peers: number;
  /** Of 1 MiB each. */
  readonly chunks: number;
  readonly seed: number;
  /** The origin goes when it has sent so much, or nothing is asked of it any more. */
  readonly originLeavesAtCopies: number;
}

export interface SwarmOutcome {
  /** Undefined when some peers can never have everything. */
  readonly seconds: number | undefined;
  readonly boundSeconds: number;
  readonly originCopies: number;
  readonly lost: number;
  /** When the origin left, and how many copies the rarest chunk had then; undefined where it stayed. */
  readonly originLeft: { readonly seconds: number; readonly rarestCopies: number } | undefined;
  readonly peersLeft: number;
  /** Bytes that came twice or too late, of all. */
  readonly wastedPart: number;
}

const chunkBytes = 1 << 20;
/** One way. */
const delayMs = 50;
/** From the first word of a peer to everybody's directory, and for one that goes. */
const announceMs = 1000;
/** A link through the relay to a direct one. */
const dialMs = 1000;
/** Until the neighbours of a peer that is gone notice. */
const goneMs = 3000;
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

class Simulation {
  readonly #queue = new EventQueue();
  readonly #run: SwarmRun;
  readonly #random: () => number;
  readonly #present: SimPeer[] = [];
  /** Those that everybody knows of, and their numbers. */
  readonly #announced: SimPeer[] = [];
  #hashes: readonly number[] = [];
  /** Of each chunk, at present peers. */
  readonly #copies: Uint32Array;
  readonly #origin: Uplink<SimPeer>;
  #originLeft: SwarmOutcome['originLeft'];
  #originAskedMs = 0;
  #lost = 0;
  #finished = 0;
  #toFinish: number;
  #lastDoneMs = 0;
  #capacityBytes = 0;
  #capacityBytesPerMs = 0;
  #capacityAtMs = 0;
  #boundMs: number | undefined;
  #wastedBytes = 0;
  #receivedBytes = 0;
  #left = 0;

  constructor(run: SwarmRun) {
    this.#run = run;
    this.#random = seededRandom(run.seed);
    this.#copies = new Uint32Array(run.chunks);
    this.#origin = new Uplink<SimPeer>({
      bytesPerMs: originBytesPerMs,
      queue: this.#queue,
      onBytes: ({ to, chunk }, bytes) => to.take('origin', chunk, { bytes, nowMs: this.#queue.nowMs }),
      onSent: (flow) => this.#sent(undefined, flow),
    });
    this.#toFinish = run.peers;
  }

  run(): SwarmOutcome {
    const { peers, chunks, originLeavesAtCopies } = this.#run;
    for (let number = 0; number < peers; number++) this.#plan(number);
    if (Number.isFinite(originLeavesAtCopies)) this.#watchOrigin();
    while (this.#finished < this.#toFinish && this.#queue.nowMs < patienceMs && this.#queue.step());
    this.#origin.settle();
    return {
      seconds: this.#finished === this.#toFinish ? this.#lastDoneMs / 1000 : undefined,
      boundSeconds: this.#bound() / 1000,
      originCopies: this.#origin.sentBytes / chunkBytes / chunks,
      lost: this.#lost,
      originLeft: this.#originLeft,
      peersLeft: this.#left,
      wastedPart: this.#wastedBytes / Math.max(1, this.#receivedBytes),
    };
  }

  /** What the peers' capacities, all of them used while they were there, would have taken at least. */
  #bound(): number {
    this.#countCapacity(0);
    return this.#boundMs ?? this.#queue.nowMs;
  }

  #countCapacity(change: number): void {
    const { nowMs } = this.#queue;
    const neededBytes = (this.#toFinish - originCopiesAllowed) * this.#run.chunks * chunkBytes;
    const before = this.#capacityBytes;
    this.#capacityBytes += (nowMs - this.#capacityAtMs) * this.#capacityBytesPerMs;
    if (this.#boundMs === undefined && this.#capacityBytes >= neededBytes) {
      this.#boundMs = this.#capacityAtMs + (neededBytes - before) / this.#capacityBytesPerMs;
    }
    this.#capacityAtMs = nowMs;
    this.#capacityBytesPerMs += change;
  }

  // Coming and going.

  #plan(number: number): void {
    const random = seededRandom(this.#run.seed * 100_003 + number);
    let draw = random();
    const rate = rates.find(({ part }) => (draw -= part) < 0) ?? rates[rates.length - 1];
    const peer = new SimPeer({
      number,
      chunks: this.#run.chunks,
      bytesPerMs: rate?.bytesPerMs ?? 0,
      queue: this.#queue,
      random,
      announced: () => this.#hashes,
      onMoreSlots: (uploader) => this.#rechokeSoon(uploader),
      onSent: (uploader, flow) => this.#sent(uploader, flow),
    });
    const joinMs = random() * arrivalMs;
    this.#queue.after(joinMs, () => this.#join(peer));
    if (random() >= quitterPart) return;
    this.#toFinish--;
    this.#queue.after(joinMs + random() * quitAfterMsMax, () => this.#leave(peer));
  }

  #join(peer: SimPeer): void {
    this.#countCapacity(peer.bytesPerMs);
    peer.present = true;
    peer.joinedMs = this.#queue.nowMs;
    this.#present.push(peer);
    for (let chunk = 0; chunk < this.#run.chunks; chunk++) peer.picker.want(chunk, 0);
    if (this.#originLeft === undefined) peer.picker.add('origin', 'origin');
    this.#queue.after(announceMs, () => {
      if (!peer.present) return;
      this.#announced.push(peer);
      this.#hashes = this.#announced.map(({ hash }) => hash);
    });
    this.#every(swarmLimits.rechokeMs, peer, () => this.#rechoke(peer, true));
    this.#every(swarmLimits.rumourMs, peer, () => this.#passOn(peer));
    this.#every(swarmLimits.tickMs, peer, () => this.#pump(peer));
    this.#every(swarmLimits.findMs, peer, () => this.#find(peer));
  }

  /** Now and as long as the peer is there. */
  #every(ms: number, peer: SimPeer, run: () => void): void {
    if (!peer.present) return;
    run();
    this.#queue.after(ms, () => this.#every(ms, peer, run));
  }

  #find(peer: SimPeer): void {
    if (peer.isDone) return;
    for (let tries = 0; tries < 3 * swarmLimits.neighboursDialledMax; tries++) {
      const links = peer.neighbours.size + peer.dialling.size;
      if (links >= swarmLimits.neighboursDialledMax || peer.dialling.size >= swarmLimits.dialsMax) return;
      const other = this.#announced[Math.floor(this.#random() * this.#announced.length)];
      if (other === undefined || other === peer || peer.neighbours.has(other.id)) continue;
      if (peer.dialling.has(other) || other.neighbours.size >= swarmLimits.exchangesMax) continue;
      peer.dialling.add(other);
      this.#queue.after(dialMs, () => {
        peer.dialling.delete(other);
        this.#meet(peer, other);
        this.#find(peer);
      });
    }
  }

  #meet(peer: SimPeer, other: SimPeer): void {
    if (!peer.present || !other.present || peer.neighbours.has(other.id)) return;
    for (const [one, two] of [[peer, other] as const, [other, peer] as const]) {
      one.neighbours.set(two.id, {
        peer: two,
        given: new RateMeter(),
        taken: new RateMeter(),
        waiting: [],
        unchoked: false,
        weWant: false,
        theyWant: false,
      });
      one.picker.add(two.id, 'peer');
      for (let chunk = 0; chunk < this.#run.chunks; chunk++)
        if (two.picker.holds(chunk)) one.picker.gain(two.id, chunk, this.#queue.nowMs);
      one.picker.hear(two.picker.rumours(), this.#queue.nowMs);
    }
    this.#sayInterest(peer, other);
    this.#sayInterest(other, peer);
  }

  #leave(peer: SimPeer): void {
    if (!peer.present) return;
    this.#countCapacity(-peer.bytesPerMs);
    peer.present = false;
    if (!peer.isDone) this.#left++;
    this.#present.splice(this.#present.indexOf(peer), 1);
    for (const { leftBytes } of peer.uplink.stop(() => true)) this.#wastedBytes += chunkBytes - leftBytes;
    this.#origin.stop(({ to }) => to === peer);
    for (let chunk = 0; chunk < this.#run.chunks; chunk++) {
      if (peer.picker.holds(chunk)) this.#copies[chunk] = (this.#copies[chunk] ?? 0) - 1;
    }
    this.#countLost();
    this.#queue.after(announceMs, () => {
      const place = this.#announced.indexOf(peer);
      if (place < 0) return;
      this.#announced.splice(place, 1);
      this.#hashes = this.#announced.map(({ hash }) => hash);
    });
    this.#queue.after(goneMs, () => {
      for (const { peer: other } of peer.neighbours.values()) {
        other.neighbours.delete(peer.id);
        other.picker.remove(peer.id);
        other.uplink.stop(({ to }) => to === peer);
        this.#rechokeSoon(other);
        this.#pump(other);
      }
      peer.neighbours.clear();
    });
  }

  #finish(peer: SimPeer): void {
    peer.isDone = true;
    this.#finished++;
    this.#lastDoneMs = this.#queue.nowMs;
    this.#queue.after(-Math.log(1 - this.#random()) * lingerMs, () => this.#leave(peer));
  }

  // The origin.

  /** It also goes when every chunk is somewhere and nobody has asked for a while: then 1.5 copies are never sent. */
  #watchOrigin(): void {
    this.#queue.after(1000, () => {
      const isIdle = this.#origin.flows.length === 0 && this.#queue.nowMs - this.#originAskedMs > originIdleMs;
      if (isIdle && this.#copies.every((copies) => copies > 0)) this.#originLeaves();
      else if (this.#originLeft === undefined) this.#watchOrigin();
    });
  }

  #originLeaves(): void {
    if (this.#originLeft !== undefined) return;
    this.#originLeft = { seconds: this.#queue.nowMs / 1000, rarestCopies: Math.min(...this.#copies) };
    for (const { to, chunk } of this.#origin.stop(() => true)) to.picker.fail('origin', chunk);
    for (const peer of this.#present) peer.picker.remove('origin');
    this.#countLost();
  }

  #countLost(): void {
    if (this.#originLeft === undefined) return;
    this.#lost = Math.max(this.#lost, this.#copies.filter((copies) => copies === 0).length);
  }

  /** What was heard lately of chunks that exist is told to the neighbours. */
  #passOn(peer: SimPeer): void {
    const news = peer.picker.takeRumours();
    if (news.length === 0) return;
    this.#queue.after(delayMs, () => {
      for (const { peer: other } of peer.neighbours.values()) other.picker.hear(news, this.#queue.nowMs);
    });
  }

  #askOrigin(peer: SimPeer): void {
    if (this.#originLeft !== undefined || peer.isDone) return;
    const { nowMs } = this.#queue;
    const knowsMore = this.#announced.length - 1 > peer.neighbours.size;
    if (knowsMore && nowMs - peer.joinedMs < swarmLimits.originGraceMs) return;
    for (const chunk of peer.picker.next('origin', nowMs)) {
      this.#originAskedMs = nowMs;
      this.#queue.after(delayMs, () => {
        if (!peer.present || this.#originLeft !== undefined) return;
        if (!peer.picker.askedOf('origin').includes(chunk)) return;
        this.#origin.start({ to: peer, chunk, leftBytes: chunkBytes });
      });
    }
  }

  // Asking and sending.

  #pump(peer: SimPeer): void {
    peer.uplink.settle();
    if (!peer.present || peer.isDone) return;
    for (const { peer: uploader } of peer.neighbours.values()) this.#ask(peer, uploader);
    this.#askOrigin(peer);
  }

  /** `peer` asks `uploader` for what its picker says. */
  #ask(peer: SimPeer, uploader: SimPeer): void {
    const chunks = peer.picker.next(uploader.id, this.#queue.nowMs);
    if (chunks.length === 0) return;
    this.#queue.after(delayMs, () => {
      const neighbour = uploader.neighbours.get(peer.id);
      if (neighbour === undefined || !uploader.present) return;
      if (!neighbour.unchoked) return this.#refuse(uploader, peer, chunks);
      const asked = peer.picker.askedOf(uploader.id);
      neighbour.waiting.push(...chunks.filter((chunk) => asked.includes(chunk)));
      uploader.serve(neighbour, chunkBytes);
    });
  }

  #refuse(uploader: SimPeer, peer: SimPeer, chunks: readonly number[]): void {
    if (chunks.length === 0) return;
    this.#queue.after(delayMs, () => {
      for (const chunk of chunks) peer.picker.fail(uploader.id, chunk);
      this.#pump(peer);
    });
  }

  #sent(uploader: SimPeer | undefined, { to, chunk }: Flow<SimPeer>): void {
    if (uploader === undefined) {
      const leavesAt = this.#run.originLeavesAtCopies * this.#run.chunks * chunkBytes;
      if (this.#origin.sentBytes >= leavesAt) this.#originLeaves();
    } else {
      const neighbour = uploader.neighbours.get(to.id);
      if (neighbour !== undefined) uploader.serve(neighbour, chunkBytes);
      if (neighbour?.unchoked === false) this.#rechokeSoon(uploader);
    }
    this.#queue.after(delayMs, () => this.#arrive(to, uploader, chunk));
  }

  #arrive(peer: SimPeer, uploader: SimPeer | undefined, chunk: number): void {
    this.#receivedBytes += chunkBytes;
    if (!peer.present || peer.picker.holds(chunk)) {
      this.#wastedBytes += chunkBytes;
      return;
    }
    const from = uploader?.id ?? 'origin';
    // What was rounded away before.
    peer.picker.progress(from, { chunk, bytes: chunkBytes, nowMs: this.#queue.nowMs });
    for (const other of peer.picker.hold(chunk)) if (other !== from) this.#cancel(peer, other, chunk);
    this.#copies[chunk] = (this.#copies[chunk] ?? 0) + 1;
    if (peer.picker.missingCount === 0) this.#finish(peer);
    for (const { peer: other, weWant } of peer.neighbours.values()) if (weWant) this.#sayInterest(peer, other);
    if (uploader !== undefined) this.#ask(peer, uploader);
    else this.#askOrigin(peer);
    this.#queue.after(delayMs, () => this.#announce(peer, chunk));
  }

  #cancel(peer: SimPeer, from: string, chunk: number): void {
    this.#queue.after(delayMs, () => {
      const uploader = peer.neighbours.get(from)?.peer;
      const uplink = from === 'origin' ? this.#origin : uploader?.uplink;
      for (const { leftBytes } of uplink?.stop((flow) => flow.to === peer && flow.chunk === chunk) ?? []) {
        this.#receivedBytes += chunkBytes - leftBytes;
        this.#wastedBytes += chunkBytes - leftBytes;
      }
      const neighbour = uploader?.neighbours.get(peer.id);
      if (uploader === undefined || neighbour === undefined) return;
      const place = neighbour.waiting.indexOf(chunk);
      if (place >= 0) neighbour.waiting.splice(place, 1);
      uploader.serve(neighbour, chunkBytes);
    });
  }

  /** The neighbours hear of a new chunk. */
  #announce(peer: SimPeer, chunk: number): void {
    if (!peer.present) return;
    for (const { peer: other, unchoked } of peer.neighbours.values()) {
      other.picker.gain(peer.id, chunk, this.#queue.nowMs);
      if (unchoked) this.#ask(other, peer);
      this.#sayInterest(other, peer);
    }
  }

  // Who may download.

  /** `peer` tells `other` whether it wants something of it, when that has changed. */
  #sayInterest(peer: SimPeer, other: SimPeer): void {
    const ours = peer.neighbours.get(other.id);
    const wants = peer.picker.isInteresting(other.id);
    if (ours === undefined || ours.weWant === wants) return;
    ours.weWant = wants;
    this.#queue.after(delayMs, () => {
      const theirs = other.neighbours.get(peer.id);
      if (theirs === undefined) return;
      theirs.theyWant = wants;
      this.#rechokeSoon(other);
    });
  }

  #rechokeSoon(peer: SimPeer): void {
    if (peer.isRechoking) return;
    peer.isRechoking = true;
    this.#queue.after(swarmLimits.rechokeSoonMs, () => {
      peer.isRechoking = false;
      if (peer.present) this.#rechoke(peer, false);
    });
  }

  #rechoke(peer: SimPeer, turns: boolean): void {
    const { nowMs } = this.#queue;
    peer.uplink.settle();
    const peers = [...peer.neighbours.values()].map((neighbour) => ({
      id: neighbour.peer.id,
      interested: neighbour.theyWant,
      givenBytesPerSecond: neighbour.given.bytesPerSecond(nowMs),
      takenBytesPerSecond: neighbour.taken.bytesPerSecond(nowMs),
      isSending: peer.uplink.flows.some(({ to }) => to === neighbour.peer),
    }));
    const slots = peer.slots.give(Infinity, turns);
    const chosen = peer.choker.choose(peers, { complete: peer.isDone, turns, slots });
    for (const neighbour of peer.neighbours.values())
      this.#serveOrChoke(peer, neighbour, chosen.has(neighbour.peer.id));
  }

  #serveOrChoke(peer: SimPeer, neighbour: Neighbour, unchoked: boolean): void {
    if (unchoked === neighbour.unchoked) return;
    neighbour.unchoked = unchoked;
    const { peer: other } = neighbour;
    if (!unchoked) this.#refuse(peer, other, neighbour.waiting.splice(0));
    this.#queue.after(delayMs, () => {
      if (neighbour.unchoked !== unchoked) return;
      if (unchoked) other.picker.unchoke(peer.id);
      else other.picker.choke(peer.id);
      if (unchoked) this.#ask(other, peer);
    });
  }
}
