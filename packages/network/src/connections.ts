/** What there is to say of a libp2p connection: how it runs, whether it is relayed, which ones are spare. */
import type { Connection, Libp2p } from '@libp2p/interface';
import type { PeerId } from '@unfed/protocol';
import * as limits from './limits.ts';
import { isLower } from './link-rule.ts';

export type TransportName = 'webrtc' | 'webrtc-direct' | 'websocket' | 'relayed';

export interface ConnectionView {
  readonly peer: PeerId;
  /** `relayed` when frames pass through the relay. */
  readonly transport: TransportName;
  readonly isRelay: boolean;
}

/** By the other end's address as libp2p gives it. */
export function transportName(remoteAddress: string): TransportName {
  if (remoteAddress.includes('/webrtc-direct')) return 'webrtc-direct';
  if (remoteAddress.includes('/webrtc')) return 'webrtc';
  if (remoteAddress.includes('/p2p-circuit')) return 'relayed';
  return 'websocket';
}

export function isRelayed(connection: Connection): boolean {
  return connection.limits !== undefined || transportName(connection.remoteAddr.toString()) === 'relayed';
}

/** Everything that the rule for spare connections looks at. */
export interface ConnectionFacts {
  readonly id: string;
  readonly peer: PeerId;
  readonly relayed: boolean;
  readonly openedBy: PeerId;
  /** Streams of links on it, whole or being opened. */
  readonly links: number;
}

/**
 * Connections without links that another makes superfluous: relayed ones beside a direct one, and of several direct
 * ones all but those with links; when none has any, all but the one that the lower peer id opened.
 * @returns their ids
 */
export function spareConnections(facts: readonly ConnectionFacts[]): string[] {
  const spare: string[] = [];
  for (const peer of new Set(facts.map((fact) => fact.peer))) {
    const all = facts.filter((fact) => fact.peer === peer);
    const direct = all.filter((fact) => !fact.relayed);
    if (direct.length === 0) continue;
    const busy = direct.filter((fact) => fact.links > 0);
    const idle = direct.filter((fact) => fact.links === 0).sort((a, b) => (isLower(a.openedBy, b.openedBy) ? -1 : 1));
    spare.push(...all.filter((fact) => fact.relayed && fact.links === 0).map(({ id }) => id));
    spare.push(...idle.slice(busy.length > 0 ? 0 : 1).map(({ id }) => id));
  }
  return spare;
}

/** Closes what one peer opens beyond its share, the newest first. */
export function limitConnectionsPerPeer(libp2p: Libp2p): void {
  libp2p.addEventListener('connection:open', ({ detail: connection }) => {
    if (libp2p.getConnections(connection.remotePeer).length <= limits.connectionsPerPeerMax) return;
    connection.abort(new Error(`more than ${limits.connectionsPerPeerMax} connections of one peer`));
  });
}
