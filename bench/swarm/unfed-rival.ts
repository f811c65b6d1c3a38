/** Ours, as a peer puts it together: network, relay's directory, swarm. */
import { createNetwork, type Network } from '@unfed/network';
import { randomIdentity, signAnnouncement, type Identity } from '@unfed/protocol';
import { createSwarm, type Swarm } from '@unfed/swarm';
import type { Place, Rival, Setup } from './rival.ts';
import { shard } from './work.ts';

const announcementLifeMs = 50_000;

interface Started {
  readonly identity: Identity;
  readonly network: Network;
  readonly swarm: Swarm;
}

export class UnfedRival implements Rival {
  #started: Started | undefined;

  async give(place: Place): Promise<void> {
    const { identity, network, swarm } = await this.#start(place);
    await swarm.want(place.manifest, []);
    await until(network, () => network.addresses.some((address) => address.includes('/p2p-circuit')));
    const nowMs = Date.now();
    const announcement = {
      peer: identity.peer,
      issuedAtMs: nowMs,
      expiresAtMs: nowMs + announcementLifeMs,
      stage: null,
      hopKeys: [],
      operator: null,
      addresses: [...network.addresses],
      seeds: [...swarm.seeds],
    };
    network.directory.announce(signAnnouncement(announcement, identity));
  }

  async prepare(place: Place): Promise<void> {
    const { network } = await this.#start(place);
    const { directory } = network;
    await until(network, () => network.relayState.kind === 'connected');
    const count = (): number => directory.announcements().filter(({ seeds }) => seeds.includes(place.hash)).length;
    await until(directory, () => count() === place.setup.seeds);
  }

  async fetch({ manifest }: Place): Promise<void> {
    if (this.#started === undefined) throw new Error('prepare() first');
    await this.#started.swarm.want(manifest, [shard]);
  }

  async #start({ setup, store }: Place): Promise<Started> {
    const identity = randomIdentity();
    const network = await createNetwork({
      identity,
      relays: [relayOf(setup)],
      iceServers: [],
      allowPrivateAddresses: true,
    });
    const { directory } = network;
    this.#started = { identity, network, swarm: createSwarm({ links: network, directory, store }) };
    return this.#started;
  }
}

const relayOf = ({ relay }: Setup) => ({ peer: relay.peer, addresses: relay.addresses });

/** Resolves at the first change after which the condition holds. */
function until(changing: { onChange(listener: () => void): () => void }, isSo: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (!isSo()) return;
      stop();
      resolve();
    };
    const stop = changing.onChange(look);
    queueMicrotask(look);
  });
}
