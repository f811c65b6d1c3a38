/** The layers of a model that a chat runs at the user's own machine, on the engine of its ends. */
import type { Ends, Engine, ShardReader } from '@unfed/engine';
import type { OwnRunners } from '@unfed/inference';
import { InvalidValueError, spanShards, type Manifest, type ShardId, type Span } from '@unfed/protocol';
import * as limits from './limits.ts';

/** Numbers of layers, from the model's beginning and to its end. */
export interface OwnLayers {
  readonly first: number;
  readonly last: number;
}

/**
 * None, by what `npm run bench -- leak` measures: a probe that learns for less than half a minute reads 97 % of the
 * words behind one own layer and 95 % behind four of eight, and trying candidates reads all behind any number. Against
 * that stand the fetch of every own layer, a prompt that comes back whole, and volunteers needed for just the layers
 * between. Who wants readers to have to learn first takes one on each side.
 */
export const ownLayersDefault: OwnLayers = { first: 0, last: 0 };

/**
 * What of the model a chat runs itself beside its ends.
 * @throws InvalidValueError unless a layer is left to others
 */
export function ownSpans(
  { first, last }: OwnLayers,
  { architecture: { layers } }: Manifest,
): { readonly first: Span | undefined; readonly last: Span | undefined } {
  const counts = [first, last].every((count) => Number.isSafeInteger(count) && count >= 0);
  if (!counts || first + last >= layers) {
    throw new InvalidValueError('own layers', `fewer in all than the model's ${layers}`, `${first} and ${last}`);
  }
  return {
    first: first === 0 ? undefined : { first: 0, last: first },
    last: last === 0 ? undefined : { first: layers - last, last: layers },
  };
}

/** @throws InvalidValueError, as `ownSpans` */
export function ownShards(own: OwnLayers, manifest: Manifest): ShardId[] {
  const { first, last } = ownSpans(own, manifest);
  return [first, last].flatMap((span) => (span === undefined ? [] : spanShards(span)));
}

export interface LocalParts {
  readonly ends: Ends;
  readonly own: OwnRunners;
}

/**
 * Loads the ends and the own layers.
 * @throws what the engine and the reader throw, InvalidValueError
 */
export async function loadLocalParts(
  engine: Pick<Engine, 'loadEnds' | 'loadSpan'>,
  manifest: Manifest,
  options: { own: OwnLayers; read: ShardReader; signal: AbortSignal },
): Promise<LocalParts> {
  const { own, read, signal } = options;
  const { architecture, quantization } = manifest;
  const spans = ownSpans(own, manifest);
  const ends = await engine.loadEnds({ architecture, quantization }, read, { signal });
  const load = (span: Span | undefined) => {
    if (span === undefined) return undefined;
    const positionsMax = Math.min(architecture.contextLength, limits.sessionPositionsMax);
    const cacheBytesMax = Math.floor((limits.ownCacheBytesMax * (span.last - span.first)) / (own.first + own.last));
    return engine.loadSpan({ architecture, quantization, span, positionsMax, cacheBytesMax }, read, { signal });
  };
  return { ends, own: { first: await load(spans.first), last: await load(spans.last) } };
}
