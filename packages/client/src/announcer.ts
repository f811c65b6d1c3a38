/** Keeps this peer in the directory for as long as it offers something, with what is true now. */
import type { HopKeys } from '@unfed/circuit';
import type { AnnouncedDirectory, Network } from '@unfed/network';
import {
  limits as protocolLimits,
  signAnnouncement,
  type Identity,
  type ManifestHash,
  type StageOffer,
} from '@unfed/protocol';
import * as limits from './limits.ts';

export interface Announcer {
  /** What the peer computes now; null for nothing. */
  offer(stage: StageOffer | null): void;
  /** The models of which the peer exchanges chunks now. */
  exchange(seeds: readonly ManifestHash[]): void;
  stop(): void;
}

/** What of a network this needs. */
export interface AnnouncerNetwork extends Pick<Network, 'addresses' | 'onChange'> {
  readonly directory: Pick<AnnouncedDirectory, 'announce'>;
}

export interface AnnouncerInit {
  readonly identity: Identity;
  readonly forward: boolean;
  readonly operator: string | null;
  /** Announced while this peer forwards or serves: circuits may then go through it. */
  readonly hopKeys: Pick<HopKeys, 'announced'>;
}

export function createAnnouncer(
  network: AnnouncerNetwork,
  { identity, forward, operator, hopKeys }: AnnouncerInit,
): Announcer {
  let stage: StageOffer | null = null;
  let seeds: readonly ManifestHash[] = [];
  let announcedAtMs = -Infinity;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function announce(): void {
    timer = undefined;
    if (stage === null && seeds.length === 0 && !forward) {
      network.directory.announce(null);
      return;
    }
    const nowMs = Date.now();
    announcedAtMs = nowMs;
    const announcement = {
      peer: identity.peer,
      issuedAtMs: nowMs,
      expiresAtMs: nowMs + limits.announcementLifeMs,
      stage,
      hopKeys: stage !== null || forward ? hopKeys.announced : [],
      operator,
      addresses: network.addresses.slice(0, protocolLimits.addressesMax),
      seeds: [...seeds],
    };
    network.directory.announce(signAnnouncement(announcement, identity));
    timer = setTimeout(announce, limits.announceEveryMs);
  }

  function announceSoon(): void {
    clearTimeout(timer);
    timer = setTimeout(announce, Math.max(0, announcedAtMs + limits.announceSoonestMs - Date.now()));
  }

  // Addresses come late (a reservation at the relay, a port): what was announced without them reaches nobody.
  let addresses = network.addresses.join();
  const unlisten = network.onChange(() => {
    const now = network.addresses.join();
    if (now === addresses) return;
    addresses = now;
    announceSoon();
  });
  announceSoon();

  return {
    offer(next) {
      stage = next;
      announceSoon();
    },
    exchange(next) {
      if (next.join() === seeds.join()) return;
      seeds = [...next];
      announceSoon();
    },
    stop() {
      clearTimeout(timer);
      unlisten();
      network.directory.announce(null);
    },
  };
}
