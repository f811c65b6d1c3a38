/**
 * A network in memory that implements the `Links` of every peer: seeded delay, jitter, loss and churn, on a real or a
 * virtual clock. With a virtual clock the same seed gives the same run.
 */
import { LinkError, type Identity, type Link, type LinkOptions, type Links, type PeerId } from '@unfed/protocol';
import { RealClock, type Clock } from './clock.ts';
import * as limits from './limits.ts';
import { MemoryDirectoryServer, type MemoryDirectory } from './memory-directory.ts';
import { MemoryLink, type MemoryLinkLimits } from './memory-link.ts';
import { MemoryWire, type PathOptions } from './memory-wire.ts';

export interface MemoryNetworkOptions extends PathOptions, Partial<MemoryLinkLimits> {
  readonly seed: number;
  /** Default: the machine's. */
  readonly clock?: Clock;
}

export interface MemoryNetwork {
  readonly clock: Clock;
  /** The links of a peer, which joins by this; the same object until it leaves. */
  peer(identity: Identity): Links;
  /** What a peer sees of the directory. */
  directory(peer: PeerId): MemoryDirectory;
  /** The peer disappears, as a tab that is closed. Who had a link to it hears so after one delay. */
  leave(peer: PeerId): void;
  /** Nothing passes between the two any more, and both notice at once. */
  cut(a: PeerId, b: PeerId): void;
  /** What was cut may be opened again. */
  heal(a: PeerId, b: PeerId): void;
  stop(): void;
}

export function createMemoryNetwork(options: MemoryNetworkOptions): MemoryNetwork {
  return new Network(options);
}

interface Dial {
  readonly promise: Promise<MemoryLink>;
  readonly resolve: (link: MemoryLink) => void;
  readonly reject: (error: LinkError) => void;
  /** The other side's dial, which yields to this one unless this one fails. */
  yielding: (() => void) | undefined;
}

const goneText = 'the peer is gone';
const keyOf = (peer: PeerId, protocol: string): string => `${peer} ${protocol}`;
const pairOf = (a: PeerId, b: PeerId): string => (a < b ? `${a} ${b}` : `${b} ${a}`);

class Network implements MemoryNetwork {
  readonly clock: Clock;
  readonly #seed: number;
  readonly #path: Required<PathOptions>;
  readonly linkLimits: MemoryLinkLimits;
  readonly #hosts = new Map<PeerId, Host>();
  readonly #cuts = new Set<string>();
  readonly #directory: MemoryDirectoryServer;
  readonly #wires = new Map<string, number>();

  constructor(options: MemoryNetworkOptions) {
    const { delayMs = 0, jitterMs = 0, lossRate = 0, retransmitMs = 2 * delayMs + 10 } = options;
    this.clock = options.clock ?? new RealClock();
    this.#seed = options.seed;
    this.#path = { delayMs, jitterMs, lossRate, retransmitMs };
    this.linkLimits = {
      frameBytesMax: options.frameBytesMax ?? limits.frameBytesMax,
      windowBytes: options.windowBytes ?? limits.windowBytes,
      queueBytesMax: options.queueBytesMax ?? limits.queueBytesMax,
    };
    this.#directory = new MemoryDirectoryServer(this.clock, delayMs);
  }

  peer(identity: Identity): Links {
    const known = this.#hosts.get(identity.peer);
    if (known !== undefined) return known;
    const host = new Host(identity.peer, this);
    this.#hosts.set(identity.peer, host);
    return host;
  }

  directory(peer: PeerId): MemoryDirectory {
    return this.#directory.view(peer);
  }

  leave(peer: PeerId): void {
    this.#hosts.get(peer)?.leave();
    this.#hosts.delete(peer);
    this.#directory.leave(peer);
  }

  cut(a: PeerId, b: PeerId): void {
    this.#cuts.add(pairOf(a, b));
    this.#hosts.get(a)?.cutFrom(b);
    this.#hosts.get(b)?.cutFrom(a);
  }

  heal(a: PeerId, b: PeerId): void {
    this.#cuts.delete(pairOf(a, b));
  }

  stop(): void {
    for (const peer of [...this.#hosts.keys()]) this.leave(peer);
    this.#directory.stop();
  }

  /** @returns the other peer, where something can pass to it */
  reach(from: PeerId, to: PeerId): Host | undefined {
    return from === to || this.#cuts.has(pairOf(from, to)) ? undefined : this.#hosts.get(to);
  }

  /** Every wire has random numbers of its own, so that what happens on one changes nothing on another. */
  wire(from: PeerId, to: PeerId, purpose: string): MemoryWire {
    const name = `${this.#seed} ${from} ${to} ${purpose}`;
    const count = (this.#wires.get(name) ?? 0) + 1;
    this.#wires.set(name, count);
    return new MemoryWire(this.clock, this.#path, `${name} ${count}`);
  }
}

class Host implements Links {
  readonly self: PeerId;
  readonly #network: Network;
  readonly #links = new Map<string, MemoryLink>();
  readonly #dials = new Map<string, Dial>();
  readonly #acceptors = new Map<string, (link: Link) => void>();
  #left = false;

  constructor(self: PeerId, network: Network) {
    this.self = self;
    this.#network = network;
  }

  async open(peer: PeerId, protocol: string, { signal }: LinkOptions = {}): Promise<Link> {
    signal?.throwIfAborted();
    const key = keyOf(peer, protocol);
    const link = this.#links.get(key);
    if (link !== undefined) return link;
    const dial = this.#dials.get(key) ?? this.#dial(peer, protocol);
    return signal === undefined ? dial.promise : unlessAborted(dial.promise, signal);
  }

  accept(protocol: string, handler: (link: Link) => void): () => void {
    this.#acceptors.set(protocol, handler);
    return () => {
      if (this.#acceptors.get(protocol) === handler) this.#acceptors.delete(protocol);
    };
  }

  leave(): void {
    this.#left = true;
    for (const link of [...this.#links.values()]) {
      link.abandon(new LinkError('peer-left', this.self, goneText));
    }
    for (const [key, dial] of this.#dials)
      this.#settle(key, dial, new LinkError('closed', this.self, 'this peer left'));
  }

  cutFrom(peer: PeerId): void {
    for (const link of [...this.#links.values()]) {
      if (link.peer === peer) link.cutOff();
    }
  }

  #dial(peer: PeerId, protocol: string): Dial {
    const key = keyOf(peer, protocol);
    let resolve: (link: MemoryLink) => void = () => undefined;
    let reject: (error: LinkError) => void = () => undefined;
    const promise = new Promise<MemoryLink>((onResolve, onReject) => {
      resolve = onResolve;
      reject = onReject;
    });
    promise.catch(() => undefined); // Whoever asked may have given up since.
    const dial: Dial = { promise, resolve, reject, yielding: undefined };
    this.#dials.set(key, dial);
    if (this.#left) {
      this.#settle(key, dial, new LinkError('closed', peer, 'this peer left the network'));
      return dial;
    }
    const request = this.#network.wire(this.self, peer, `dial ${protocol}`);
    request.carry(0, () => this.#arriveAt(peer, protocol, dial));
    return dial;
  }

  /** The dial has come to the other peer, or to nobody. */
  #arriveAt(peer: PeerId, protocol: string, dial: Dial): void {
    const key = keyOf(peer, protocol);
    if (this.#dials.get(key) !== dial) return;
    const reply = this.#network.wire(peer, this.self, `reply ${protocol}`);
    const refuse = (detail: string): void =>
      reply.carry(0, () => this.#settle(key, dial, new LinkError('unreachable', peer, detail)));
    const other = this.#network.reach(this.self, peer);
    if (other === undefined) {
      refuse('nobody answers; it may have left');
      return;
    }
    const theirs = other.#dials.get(keyOf(this.self, protocol));
    // Both dialled: the link that the lower peer id opened is kept.
    if (theirs !== undefined && other.self < this.self) {
      theirs.yielding = () => this.#arriveAt(peer, protocol, dial);
      return;
    }
    const acceptor = other.#acceptors.get(protocol);
    if (acceptor === undefined) {
      refuse(`it takes no links of ${protocol}`);
      return;
    }
    const [here, there] = this.#join(other, protocol);
    other.#add(there);
    reply.carry(0, () => this.#settle(key, dial, here));
    acceptor(there);
    if (theirs !== undefined) other.#settle(keyOf(this.self, protocol), theirs, there);
  }

  #join(other: Host, protocol: string): [MemoryLink, MemoryLink] {
    const end = (of: Host, peer: PeerId): MemoryLink =>
      new MemoryLink({
        peer,
        protocol,
        wire: this.#network.wire(of.self, peer, protocol),
        limits: this.#network.linkLimits,
        onEnd: (link) => of.#remove(link),
      });
    const here = end(this, other.self);
    const there = end(other, this.self);
    MemoryLink.join(here, there);
    return [here, there];
  }

  #settle(key: string, dial: Dial, outcome: MemoryLink | LinkError): void {
    if (this.#dials.get(key) !== dial) {
      // This peer left while the answer was on its way.
      if (this.#left && outcome instanceof MemoryLink) outcome.abandon(new LinkError('peer-left', this.self, goneText));
      return;
    }
    this.#dials.delete(key);
    if (outcome instanceof LinkError) {
      dial.reject(outcome);
      dial.yielding?.();
    } else if (outcome.ended) {
      dial.reject(new LinkError('closed', outcome.peer, 'it was closed while it was being opened'));
    } else {
      if (this.#links.get(key) !== outcome) this.#add(outcome);
      dial.resolve(outcome);
    }
  }

  #add(link: MemoryLink): void {
    const key = keyOf(link.peer, link.protocol);
    const old = this.#links.get(key);
    this.#links.set(key, link);
    // The other side dials anew only when its end of the old link is gone.
    old?.end(new LinkError('closed', link.peer, 'the other side opened a new link'));
  }

  #remove(link: MemoryLink): void {
    const key = keyOf(link.peer, link.protocol);
    if (this.#links.get(key) === link) this.#links.delete(key);
  }
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
