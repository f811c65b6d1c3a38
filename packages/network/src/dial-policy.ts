/**
 * Which addresses this peer ever dials (SPEC.md, D rules). Addresses come from strangers: without this, an
 * announcement could send every page to a host of its choice.
 */
import { isPrivate } from '@libp2p/utils';
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr';
import type { PeerId } from '@unfed/protocol';
import * as limits from './limits.ts';

export interface RelayAddress {
  readonly peer: string;
  /** Multiaddrs of its WebSocket, with or without `/p2p/…`. */
  readonly addresses: readonly string[];
}

export interface DialCandidates {
  /** Need no third party: webrtc-direct, or a relay's own WebSocket. */
  readonly direct: readonly Multiaddr[];
  /** WebRTC, introduced by a relay. */
  readonly introduced: readonly Multiaddr[];
  /** Every byte through a relay. */
  readonly relayed: readonly Multiaddr[];
}

export class DialPolicy {
  readonly #relays = new Map<string, readonly Multiaddr[]>();
  readonly #relayAddresses = new Set<string>();
  readonly #allowPrivateAddresses: boolean;

  constructor(relays: readonly RelayAddress[], allowPrivateAddresses: boolean) {
    this.#allowPrivateAddresses = allowPrivateAddresses;
    for (const { peer, addresses } of relays) {
      const whole = addresses.map((address) => withPeer(multiaddr(address), peer));
      this.#relays.set(peer, whole);
      for (const address of whole) {
        this.#relayAddresses.add(address.toString());
        this.#relayAddresses.add(address.decapsulate('/p2p').toString());
      }
    }
  }

  isRelay(peer: string): boolean {
    return this.#relays.has(peer);
  }

  relayAddresses(peer: string): readonly Multiaddr[] {
    return this.#relays.get(peer) ?? [];
  }

  /** The last word on every dial, also on those that libp2p starts by itself. */
  allows(address: Multiaddr): boolean {
    const parts = address.getComponents();
    const circuit = parts.findIndex(({ name }) => name === 'p2p-circuit');
    if (circuit >= 0) {
      const relay = parts.slice(0, circuit).findLast(({ name }) => name === 'p2p');
      return relay?.value !== undefined && this.#relays.has(relay.value);
    }
    if (this.#relayAddresses.has(address.toString())) return true;
    return this.#isDirect(address);
  }

  /** Own addresses worth telling others. */
  mayAnnounce(address: Multiaddr): boolean {
    const names = address.getComponents().map(({ name }) => name);
    if (names.includes('p2p-circuit')) return names.includes('webrtc');
    return this.#isDirect(address);
  }

  /**
   * What to dial for a peer that announced these addresses. Circuits are rebuilt from our own relays' addresses, so
   * that only the relay's id is taken from the stranger; with no address at all, each of our relays may know the peer.
   */
  candidates(peer: PeerId, addresses: readonly string[]): DialCandidates {
    const own = this.#relays.get(peer);
    if (own !== undefined) return { direct: own, introduced: [], relayed: [] };
    const direct: Multiaddr[] = [];
    const relays = new Set<string>(addresses.length === 0 ? this.#relays.keys() : []);
    for (const text of addresses.slice(0, limits.dialAddressesMax)) {
      const address = parse(text);
      if (address === undefined) continue;
      const relay = text.includes('/p2p-circuit') ? relayOf(address) : undefined;
      if (relay !== undefined && this.#relays.has(relay)) relays.add(relay);
      if (this.#isDirect(address)) direct.push(withPeer(address, peer));
    }
    const bases = [...relays].flatMap((relay) => this.#relays.get(relay)?.slice(0, 1) ?? []);
    return {
      direct,
      introduced: bases.map((base) => base.encapsulate(`/p2p-circuit/webrtc/p2p/${peer}`)),
      relayed: bases.map((base) => base.encapsulate(`/p2p-circuit/p2p/${peer}`)),
    };
  }

  /** webrtc-direct at an IP address, no names: resolving one would ask a third party. */
  #isDirect(address: Multiaddr): boolean {
    const [host, transport, webrtc] = address.getComponents().map(({ name }) => name);
    if ((host !== 'ip4' && host !== 'ip6') || transport !== 'udp' || webrtc !== 'webrtc-direct') return false;
    return this.#allowPrivateAddresses || !isPrivate(address);
  }
}

function parse(text: string): Multiaddr | undefined {
  try {
    return multiaddr(text);
  } catch {
    return undefined;
  }
}

function relayOf(address: Multiaddr): string | undefined {
  const parts = address.getComponents();
  const circuit = parts.findIndex(({ name }) => name === 'p2p-circuit');
  return parts.slice(0, circuit).findLast(({ name }) => name === 'p2p')?.value;
}

function withPeer(address: Multiaddr, peer: string): Multiaddr {
  const last = address.getComponents().at(-1);
  return last?.name === 'p2p' ? address : address.encapsulate(`/p2p/${peer}`);
}
