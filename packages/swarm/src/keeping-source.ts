/**
 * A source for those who ask and exchange with nobody: from the store, else from the seed alone, and then kept. Peers
 * would learn from it which model somebody is about to ask.
 */
import * as protocol from '@unfed/protocol';
import * as limits from './limits.ts';
import { ModelFiles } from './model-files.ts';
import type { ShardSource } from './shard-source.ts';
import { Soon } from './soon.ts';
import type { ChunkStore } from './store.ts';
import { systemClock, type SwarmClock } from './swarm-clock.ts';
import { SwarmModels } from './swarm-models.ts';
import { verifiedSource, type RawFiles } from './verified-source.ts';

export interface KeepingSourceOptions {
  readonly store: ChunkStore;
  readonly seed: RawFiles;
  readonly clock?: SwarmClock;
}

export interface KeepingSource extends ShardSource {
  /** Ends what is under way. The store stays open. */
  stop(): void;
}

/** What has no room in the store is given all the same, and nothing goes for it: others may want what is there. */
export function keepingSource({ store, seed, clock = systemClock }: KeepingSourceOptions): KeepingSource {
  const { triesMax, backoffMs, backoffMsMax } = limits;
  const files = new ModelFiles({ store, clock, seed: verifiedSource(seed, { triesMax, backoffMs, backoffMsMax }) });
  const soon = new Soon(clock);
  const models = new SwarmModels({
    store,
    seed,
    clock,
    random: Math.random,
    files,
    soon,
    worth: () => 1,
    isPrivate: () => true,
    self: 0,
    othersOf: () => [],
    hasTakers: () => false,
    arePeersExpectedFor: () => false,
    windowChunks: () => limits.windowChunksMax,
    onBadBytes: () => undefined,
    onReady: () => undefined,
    onChange: () => undefined,
  });
  const unlisten = store.onChange((change) => models.onStoreChange(change));
  return {
    manifest: (hash, options = {}) => files.manifest(hash, options),
    file: (manifest, file, options = {}) => files.file(manifest, file, options),
    async shard(manifest, id, options = {}) {
      options.signal?.throwIfAborted();
      protocol.shardEntry(manifest, id);
      const model = models.of(manifest);
      try {
        return await model.shard(id, options);
      } finally {
        // What is dropped later is not fetched again before somebody asks.
        model.unwant([id]);
      }
    },
    stop() {
      unlisten();
      soon.stop();
      models.stop();
    },
  };
}
