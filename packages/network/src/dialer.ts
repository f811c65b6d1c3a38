/** Finds or makes a connection to a peer: what is there already, then straight ways, then an introduction by a relay. */
import type { Connection, Libp2p } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import type { PeerId } from '@unfed/protocol';
import { isRelayed } from './connections.ts';
import type { DialPolicy } from './dial-policy.ts';
import * as limits from './limits.ts';

export interface DialOptions {
  readonly addresses: readonly string[];
  /** The number of this try, from 0: straight and introduced ways take turns. */
  readonly number: number;
  readonly signal: AbortSignal;
}

/** There is no address that this peer may dial. */
export class NoWayError extends Error {
  override readonly name = 'NoWayError';
}

export class Dialer {
  readonly #libp2p: Libp2p;
  readonly #policy: DialPolicy;
  readonly #allowRelayed: boolean;

  constructor(libp2p: Libp2p, policy: DialPolicy, allowRelayed: boolean) {
    this.#libp2p = libp2p;
    this.#policy = policy;
    this.#allowRelayed = allowRelayed;
  }

  /** The direct connection that links to this peer run on. */
  existing(peer: PeerId): Connection | undefined {
    const connections = this.#libp2p.getConnections(peerIdFromString(peer));
    return connections.find((connection) => connection.status === 'open' && !isRelayed(connection));
  }

  /** @throws NoWayError, libp2p's errors of dialling, the signal's reason */
  async connect(peer: PeerId, { addresses, number, signal }: DialOptions): Promise<Connection> {
    const existing = this.existing(peer);
    if (existing !== undefined) return existing;
    const { direct, introduced, relayed } = this.#policy.candidates(peer, addresses);
    const ways = [
      { addresses: direct, timeoutMs: limits.dialDirectTimeoutMs },
      { addresses: introduced, timeoutMs: limits.dialThroughRelayTimeoutMs },
      { addresses: this.#allowRelayed ? relayed : [], timeoutMs: limits.dialThroughRelayTimeoutMs },
    ].filter((way) => way.addresses.length > 0);
    const way = ways[number % Math.max(1, ways.length)];
    if (way === undefined) {
      throw new NoWayError(`none of its ${addresses.length} addresses may be dialled from here`);
    }
    const timed = AbortSignal.any([signal, AbortSignal.timeout(way.timeoutMs)]);
    return this.#libp2p.dial([...way.addresses], { signal: timed });
  }
}
