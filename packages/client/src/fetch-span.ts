/**
 * Brings the shards of a span into the store, from all sources at once. Where there is no room for all of them the span
 * gives up layers from its end, so that what is served is still a run of layers; it never fails for lack of room.
 */
import { layerShard, shardEntry, spanShards } from '@unfed/protocol';
import type { Manifest, ManifestHash, ShardId, Span } from '@unfed/protocol';
import { planRoom, type ChunkStore, type ModelProgress, type Swarm } from '@unfed/swarm';
import { WeightsDeletedError } from './errors.ts';

export interface SpanFetch {
  readonly swarm: Pick<Swarm, 'want' | 'unwant' | 'progress' | 'onChange'>;
  readonly store: Pick<ChunkStore, 'models' | 'usedBytes' | 'capBytes'>;
  /** False for a store in memory: it is no reason to serve less, since the layers are held in memory anyway. */
  readonly durable: boolean;
  readonly hash: ManifestHash;
  readonly manifest: Manifest;
  readonly span: Span;
  readonly signal: AbortSignal;
  /** @param span what is fetched by now, which may have become shorter */
  readonly onProgress: (span: Span, bytes: number, bytesTotal: number) => void;
}

/** `kept` is false where not even one layer has room: it is then fetched for the engine alone. */
export interface FetchedSpan {
  readonly span: Span;
  readonly kept: boolean;
}

/** @throws WeightsDeletedError, why the shards cannot be had, StoreError, the signal's reason */
export async function fetchSpan(fetch: SpanFetch): Promise<FetchedSpan> {
  const { swarm, manifest, durable } = fetch;
  let span = durable ? await spanThatFits(fetch) : fetch.span;
  const others = manifest.shards.map(({ id }) => id).filter((id) => !spanShards(span).includes(id));
  swarm.unwant(manifest, others);
  for (;;) {
    await swarm.want(manifest, spanShards(span));
    const end = await arrival(fetch, span);
    if (end === 'complete') return { span, kept: true };
    if (!durable || span.last - span.first === 1) return { span, kept: false };
    // Unwanted, its chunks make room for the others.
    const last = span.last - 1;
    swarm.unwant(manifest, [layerShard(last)]);
    span = { first: span.first, last };
  }
}

/** The span, shorter where the store's cap has no room for it even when all goes that nobody wants; one layer at least. */
async function spanThatFits({ store, hash, manifest, span }: SpanFetch): Promise<Span> {
  const models = await store.models();
  const held = models.find((model) => model.manifest === hash)?.shards ?? new Map<ShardId, number>();
  const wanted = new Set(spanShards(span));
  const worth = (model: ManifestHash, shard: ShardId): number => (model === hash && wanted.has(shard) ? 1 : 0);
  const droppable = planRoom(models, { bytes: Infinity, forWorth: 1, worth });
  const roomBytes = store.capBytes - store.usedBytes + droppable.reduce((sum, { bytes }) => sum + bytes, 0);
  let { last } = span;
  const missingBytes = (): number =>
    spanShards({ first: span.first, last }).reduce(
      (sum, id) => sum + shardEntry(manifest, id).bytes - (held.get(id) ?? 0),
      0,
    );
  // What is held of a layer that is given up makes room, too.
  let freedBytes = 0;
  while (last - span.first > 1 && missingBytes() > roomBytes + freedBytes) {
    last--;
    freedBytes += held.get(layerShard(last)) ?? 0;
  }
  return { first: span.first, last };
}

/** Waits until all of the span is there, or the store had no room for some of it. */
async function arrival(fetch: SpanFetch, span: Span): Promise<'complete' | 'no-room'> {
  const { swarm, manifest, hash, signal, onProgress } = fetch;
  const bytesTotal = spanShards(span).reduce((sum, id) => sum + shardEntry(manifest, id).bytes, 0);
  const look = (): 'complete' | 'no-room' | undefined => {
    signal.throwIfAborted();
    const progress: ModelProgress | undefined = swarm.progress.find((model) => model.manifest === hash);
    if (progress === undefined) throw new WeightsDeletedError(manifest.name);
    // A shard that the store has no room for is no longer wanted.
    if (progress.totalBytes < bytesTotal) return 'no-room';
    onProgress(span, progress.doneBytes, bytesTotal);
    if (progress.doneBytes >= bytesTotal) return 'complete';
    if (progress.failure !== undefined) throw progress.failure;
    return undefined;
  };
  return new Promise((resolve, reject) => {
    const check = (): void => {
      try {
        const end = look();
        if (end === undefined) return;
        stop();
        resolve(end);
      } catch (error) {
        stop();
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    };
    const stop = (): void => {
      unlisten();
      signal.removeEventListener('abort', check);
    };
    const unlisten = swarm.onChange(check);
    signal.addEventListener('abort', check, { once: true });
    check();
  });
}
