/** Swarms of several peers on the memory network, for tests. */
import {
  identityFromSeed,
  manifestFileName,
  shardFileName,
  signAnnouncement,
  type Identity,
  type ManifestHash,
  type ShardId,
} from '@unfed/protocol';
import { createMemoryNetwork, RealClock, seededRandom, type Clock, type MemoryNetwork } from '@unfed/testing';
import { SourceError } from './errors.ts';
import { modelFixture } from './model.fixture.ts';
import { memoryStore } from './store-memory.ts';
import type { ChunkStore } from './store.ts';
import type { Swarm, SwarmOptions } from './swarm-contract.ts';
import { createSwarm } from './swarm.ts';
import type { RawFiles, RawRead } from './verified-source.ts';

export const model = modelFixture();
export const allShards: readonly ShardId[] = model.manifest.shards.map(({ id }) => id);
export const identity = (n: number): Identity => identityFromSeed(new Uint8Array(32).fill(n));

/** A seed that has all of the model, and counts what it is asked for. */
export interface CountingSeed extends RawFiles {
  readonly reads: RawRead[];
  bytes: number;
}

/** @param bend may change what is given, or throw */
export function seedOf(bend: (bytes: Uint8Array, read: RawRead) => Uint8Array = (bytes) => bytes): CountingSeed {
  const seed: CountingSeed = {
    reads: [],
    bytes: 0,
    async *read(read) {
      seed.reads.push(read);
      const { path, start, until } = read;
      const file = model.files.get(path.slice(path.indexOf('/') + 1));
      if (file === undefined || !path.startsWith(model.hash)) {
        throw new SourceError({ failure: 'not-found', path, transient: false }, 'there is no such file');
      }
      const bytes = bend(file.slice(start, until), read);
      seed.bytes += bytes.byteLength;
      yield bytes;
    },
  };
  return seed;
}

export interface TestPeer {
  readonly identity: Identity;
  readonly swarm: Swarm;
  readonly store: ChunkStore;
  leave(): void;
}

export interface World {
  readonly network: MemoryNetwork;
  /** A peer that announces what it exchanges. */
  peer(number: number, options?: Partial<SwarmOptions>): TestPeer;
  announce(identity: Identity, seeds: readonly ManifestHash[]): void;
  /** Resolves when so many peers announce the model. */
  announced(count: number): Promise<void>;
  stop(): void;
}

/** @param clock a virtual one moves on while hashes are computed, so that waits may end too soon for what they wait for */
export function world({ clock = new RealClock(), seed = 1 }: { clock?: Clock; seed?: number } = {}): World {
  const network = createMemoryNetwork({ seed, clock });
  const watcher = network.directory(identity(255).peer);
  const swarms: Swarm[] = [];
  const announce = (who: Identity, seeds: readonly ManifestHash[]): void => {
    const issuedAtMs = clock.now();
    const expiresAtMs = issuedAtMs + 60_000;
    const rest = { stage: null, hopKeys: [], operator: null, addresses: [], seeds: [...seeds] };
    const announcement = { peer: who.peer, issuedAtMs, expiresAtMs, ...rest };
    network.directory(who.peer).announce(signAnnouncement(announcement, who));
  };
  return {
    network,
    announce,
    announced(count) {
      const isThere = (): boolean => watcher.announcements().filter(({ seeds }) => seeds.length > 0).length >= count;
      return new Promise((resolve) => {
        const stop = watcher.onChange(() => {
          if (!isThere()) return;
          stop();
          resolve();
        });
        if (isThere()) resolve();
      });
    },
    peer(number, more = {}) {
      const who = identity(number);
      const store = more.store ?? memoryStore();
      const links = network.peer(who);
      const random = seededRandom(number);
      const swarm = createSwarm({ links, directory: network.directory(who.peer), store, clock, random, ...more });
      swarms.push(swarm);
      let announced = '';
      swarm.onChange(() => {
        const seeds = swarm.seeds;
        if (seeds.join() === announced) return;
        announced = seeds.join();
        announce(who, seeds);
      });
      return {
        identity: who,
        swarm,
        store,
        leave() {
          swarm.stop();
          network.leave(who.peer);
        },
      };
    },
    stop() {
      for (const swarm of swarms) swarm.stop();
      network.stop();
    },
  };
}

/** A store that holds the manifest and some shards of the model, whole. */
export async function storeWith(shards: readonly ShardId[] = allShards): Promise<ChunkStore> {
  const store = memoryStore();
  await store.putFile(model.hash, manifestFileName, fileOf(manifestFileName));
  for (const shard of shards) {
    const bytes = fileOf(shardFileName(shard));
    for (let chunk = 0; chunk << 20 < bytes.length; chunk++) {
      const address = { manifest: model.hash, shard, chunk };
      await store.put(address, bytes.slice(chunk << 20, (chunk + 1) << 20));
    }
  }
  return store;
}

export function fileOf(name: string): Uint8Array<ArrayBuffer> {
  return model.files.get(name)?.slice() ?? new Uint8Array();
}

/** @returns whether these are the bytes of the shard */
export function isShard(id: ShardId, bytes: Uint8Array): boolean {
  return Buffer.compare(bytes, fileOf(shardFileName(id))) === 0;
}

/** Chunks of a shard. */
export function chunksOf(id: ShardId): number {
  return model.manifest.shards.find((entry) => entry.id === id)?.chunks.length ?? 0;
}
