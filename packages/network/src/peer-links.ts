/** Links over libp2p: one a peer and protocol, kept and shared; the rule for two that cross; tries with back-off. */
import type { Connection, Libp2p, Stream } from '@libp2p/interface';
import { errorText, LinkError, peerId, type Link, type LinkOptions, type Links, type PeerId } from '@unfed/protocol';
import { isRelayed } from './connections.ts';
import { deferred, type Deferred } from './deferred.ts';
import type { Dialer } from './dialer.ts';
import { backOffMs, delay, underSignal } from './event-wait.ts';
import * as limits from './limits.ts';
import { takesIncoming, type OwnSide } from './link-rule.ts';
import { StreamLink } from './stream-link.ts';

export interface PeerLinksInit {
  readonly libp2p: Libp2p;
  readonly self: PeerId;
  readonly dialer: Dialer;
  /** Whether links may run through a relay when nothing else works. */
  readonly allowRelayed: boolean;
  /** Called whenever a link hears anything. */
  readonly onHeard: (connection: Connection) => void;
}

/** What there is with one peer for one protocol. */
interface Slot {
  readonly peer: PeerId;
  readonly protocol: string;
  link: StreamLink | undefined;
  attempt: Attempt | undefined;
}

/** Who takes links of a protocol; of several, the newest. */
interface Taker {
  readonly handler: (link: Link) => void;
}

interface Attempt {
  readonly outcome: Deferred<StreamLink>;
  readonly controller: AbortController;
  /** Callers that still wait; without any, the attempt ends. */
  waiting: number;
  /** A stream of ours is being opened, or opened and not welcomed yet. */
  streaming: boolean;
  link: StreamLink | undefined;
}

export class PeerLinks implements Links {
  readonly self: PeerId;
  readonly #libp2p: Libp2p;
  readonly #dialer: Dialer;
  readonly #allowRelayed: boolean;
  readonly #onHeard: (connection: Connection) => void;
  readonly #slots = new Map<string, Slot>();
  readonly #takers = new Map<string, Taker[]>();
  #attempts = 0;
  #stopped = false;

  constructor({ libp2p, self, dialer, allowRelayed, onHeard }: PeerLinksInit) {
    this.self = self;
    this.#libp2p = libp2p;
    this.#dialer = dialer;
    this.#allowRelayed = allowRelayed;
    this.#onHeard = onHeard;
  }

  async open(peer: PeerId, protocol: string, { addresses = [], signal }: LinkOptions = {}): Promise<Link> {
    signal?.throwIfAborted();
    if (this.#stopped) throw new LinkError('unreachable', peer, 'this network was stopped; create a new one');
    if (peer === this.self) throw new LinkError('unreachable', peer, 'it is this very peer; expected another');
    const slot = this.#slot(peer, protocol);
    const existing = openLink(slot);
    if (existing !== undefined) return existing;
    const attempt = slot.attempt ?? this.#begin(slot, addresses);
    attempt.waiting++;
    try {
      return await underSignal(attempt.outcome.promise, signal);
    } finally {
      attempt.waiting--;
      if (attempt.waiting === 0)
        attempt.controller.abort(new LinkError('closed', peer, 'nobody waits for it any more'));
    }
  }

  accept(protocol: string, handler: (link: Link) => void): () => void {
    const entry = { handler };
    const entries = this.#takers.get(protocol) ?? [];
    entries.push(entry);
    this.#takers.set(protocol, entries);
    if (entries.length === 1) this.#register(protocol, entries);
    return () => {
      const at = entries.indexOf(entry);
      if (at < 0) return;
      entries.splice(at, 1);
      if (entries.length > 0) return;
      this.#takers.delete(protocol);
      void this.#libp2p.unhandle(protocol);
    };
  }

  #register(protocol: string, entries: readonly Taker[]): void {
    const onStream = (stream: Stream, connection: Connection): void => {
      this.#welcome(stream, connection, (link) => entries.at(-1)?.handler(link));
    };
    const options = { maxInboundStreams: limits.inboundStreamsMax, runOnLimitedConnection: this.#allowRelayed };
    // The handler counts at once; what libp2p then waits for is its own peer store.
    void this.#libp2p.handle(protocol, onStream, options);
  }

  /** Closes all links; resolves when the other ends know, or had time to. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const links = [...this.#slots.values()].flatMap(({ link }) => link ?? []);
    for (const { attempt, peer } of this.#slots.values()) {
      attempt?.controller.abort(new LinkError('closed', peer, 'this network was stopped'));
    }
    for (const link of links) link.close();
    await Promise.all(links.map(({ gone }) => gone));
  }

  #slot(peer: PeerId, protocol: string): Slot {
    const key = `${peer} ${protocol}`;
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      slot = { peer, protocol, link: undefined, attempt: undefined };
      this.#slots.set(key, slot);
    }
    return slot;
  }

  #begin(slot: Slot, addresses: readonly string[]): Attempt {
    if (this.#attempts >= limits.pendingOpensMax) {
      throw new LinkError('unreachable', slot.peer, `${this.#attempts} links are being opened already; try later`);
    }
    const attempt: Attempt = {
      outcome: deferred<StreamLink>(),
      controller: new AbortController(),
      waiting: 0,
      streaming: false,
      link: undefined,
    };
    slot.attempt = attempt;
    this.#attempts++;
    this.#try(slot, attempt, addresses)
      .then(attempt.outcome.resolve, attempt.outcome.reject)
      .finally(() => {
        this.#attempts--;
        slot.attempt = undefined;
        this.#forget(slot);
      });
    return attempt;
  }

  async #try(slot: Slot, attempt: Attempt, addresses: readonly string[]): Promise<StreamLink> {
    const { signal } = attempt.controller;
    let last: unknown;
    for (let number = 0; number < limits.linkTriesMax; number++) {
      try {
        if (number > 0) await delay(backOffMs(number - 1, limits.linkRetryFirstMs, limits.linkRetryMaxMs), signal);
        const came = openLink(slot);
        if (came !== undefined) return came;
        const connection = await this.#dialer.connect(slot.peer, { addresses, number, signal });
        return await this.#openOn(connection, slot, attempt);
      } catch (error) {
        // The other end's link may have come in while ours failed.
        const came = openLink(slot);
        if (came !== undefined) return came;
        if (signal.aborted) throw signal.reason;
        last = error;
        if (isFinal(error)) break;
      }
    }
    const how = this.#allowRelayed ? '' : ' directly, and links through a relay are not allowed here';
    const detail = `cannot be reached for ${slot.protocol}${how}: ${causeText(last)}`;
    throw new LinkError('unreachable', slot.peer, detail, { cause: last });
  }

  async #openOn(connection: Connection, slot: Slot, attempt: Attempt): Promise<StreamLink> {
    const { peer, protocol } = slot;
    const came = openLink(slot);
    if (came !== undefined) return came;
    const signal = AbortSignal.any([attempt.controller.signal, AbortSignal.timeout(limits.linkWelcomeTimeoutMs)]);
    attempt.streaming = true;
    try {
      const stream = await connection.newStream(protocol, { signal, runOnLimitedConnection: this.#allowRelayed });
      const link = this.#linkOn(stream, connection, { peer, protocol, openedBy: this.self });
      attempt.link = link;
      try {
        await underSignal(link.welcomed, signal);
      } catch (error) {
        link.abort(new LinkError('closed', peer, 'it was not welcomed', { cause: error }));
        throw error;
      }
      const crossed = openLink(slot);
      if (crossed !== undefined) {
        link.close();
        return crossed;
      }
      this.#keep(slot, link);
      return link;
    } finally {
      attempt.streaming = false;
      attempt.link = undefined;
    }
  }

  /** Takes a stream that another peer opened, or refuses it by resetting it. */
  #welcome(stream: Stream, connection: Connection, handler: (link: Link) => void): void {
    const remote = remotePeer(connection);
    if (remote === undefined || this.#stopped || (isRelayed(connection) && !this.#allowRelayed)) {
      return stream.abort(new Error('no links over this connection'));
    }
    const slot = this.#slot(remote, stream.protocol);
    const own = ownSide(slot);
    if (!takesIncoming(this.self, remote, own)) return stream.abort(new Error('crossed; the other one stays'));
    const { protocol } = stream;
    const link = this.#linkOn(stream, connection, { peer: remote, protocol, openedBy: remote });
    const earlier = slot.link;
    this.#keep(slot, link);
    earlier?.close();
    slot.attempt?.link?.abort(new LinkError('closed', remote, 'crossed; the other one stays'));
    slot.attempt?.outcome.resolve(link);
    handler(link);
  }

  #linkOn(
    stream: Stream,
    connection: Connection,
    names: Pick<StreamLink, 'peer' | 'protocol' | 'openedBy'>,
  ): StreamLink {
    const onHeard = (): void => this.#onHeard(connection);
    return new StreamLink({ stream, ...names, relayed: isRelayed(connection), onHeard });
  }

  #keep(slot: Slot, link: StreamLink): void {
    slot.link = link;
    void link.closed.then(() => {
      if (slot.link === link) slot.link = undefined;
      this.#forget(slot);
    });
  }

  #forget(slot: Slot): void {
    if (slot.link !== undefined || slot.attempt !== undefined) return;
    const key = `${slot.peer} ${slot.protocol}`;
    if (this.#slots.get(key) === slot) this.#slots.delete(key);
  }
}

function openLink({ link }: Slot): StreamLink | undefined {
  return link?.isOpen === true ? link : undefined;
}

function ownSide(slot: Slot): OwnSide {
  const { attempt } = slot;
  const link = openLink(slot);
  if (link !== undefined) {
    return { kind: 'established', openedBy: link.openedBy, ageMs: performance.now() - link.openedAtMs };
  }
  return { kind: attempt?.streaming === true ? 'opening' : 'none' };
}

/** @returns undefined for peers whose ids are not Ed25519 keys: they can sign nothing here */
export function remotePeer(connection: Connection): PeerId | undefined {
  try {
    return peerId(connection.remotePeer.toString());
  } catch {
    return undefined;
  }
}

/** More tries cannot help: the other end does not know the protocol, or we have no way to it. */
function isFinal(error: unknown): boolean {
  return error instanceof Error && (error.name === 'UnsupportedProtocolError' || error.name === 'NoWayError');
}

function causeText(error: unknown): string {
  if (!(error instanceof AggregateError)) return errorText(error);
  return [...new Set(error.errors.map(errorText))].join('; ').slice(0, 300);
}
