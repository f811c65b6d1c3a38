import { join } from 'node:path';
import type { Engine, Ends, SpanRunner, SpanSpec } from '@unfed/engine/node';
import { createMemoryPool } from '@unfed/inference/suites';
import { ensureDemoModel } from '@unfed/model/node';
import type { Network } from '@unfed/network';
import { DecodeError, InvalidValueError, type Manifest, type ManifestHash } from '@unfed/protocol';
import type { ShardSource } from '@unfed/swarm';
import { folderSource } from '@unfed/swarm/node';
import { beforeAll, describe, expect, it } from 'vitest';
import { EndsTooLargeError } from './errors.ts';
import * as limits from './limits.ts';
import type { OwnLayers } from './own-layers.ts';
import { PeerPenalties } from './peer-penalties.ts';
import { openChat, type OpenChatParts } from './open-chat.ts';

const modelsDir = join(import.meta.dirname, '../../../build/models');
let hash: ManifestHash;
let manifest: Manifest;

beforeAll(async () => {
  ({ hash, manifest } = await ensureDemoModel(modelsDir));
}, 120_000);

/** An engine whose ends load as the test says. */
function partsOf(loadEnds: () => Promise<Ends>) {
  const pool = createMemoryPool([], { width: manifest.architecture.width, manifest: hash, seed: 1 });
  const abort = new AbortController();
  const engines = { started: 0, disposed: 0 };
  const spans: SpanSpec[] = [];
  const engine: Pick<Engine, 'loadEnds' | 'loadSpan' | 'dispose'> = {
    loadEnds,
    loadSpan: async (spec) => {
      spans.push(spec);
      return { span: spec.span } as SpanRunner;
    },
    dispose: async () => void engines.disposed++,
  };
  const parts: OpenChatParts = {
    links: pool.client.links,
    penalties: new PeerPenalties(),
    network: {} as Network,
    source: folderSource(modelsDir),
    endsBackend: 'auto',
    signal: abort.signal,
    platform: {
      createEngine: async () => {
        engines.started++;
        return engine as Engine;
      },
    },
  };
  return { parts, engines, spans, abort };
}

/** A source of this manifest, whose every file is `file`; without it, nothing may be fetched. */
function saying(of: Manifest, file?: Uint8Array): ShardSource {
  const fetched = async (): Promise<Uint8Array> => {
    if (file === undefined) throw new Error('nothing is to be fetched');
    return file;
  };
  return { manifest: async () => ({ manifest: of, bytes: new Uint8Array() }), file: fetched, shard: fetched };
}

const ends: Ends = {
  embed: async () => new Float32Array(),
  logits: async () => new Float32Array(),
  dispose: async () => undefined,
};

describe('opening a chat', () => {
  it('ends larger than the limit are refused before anything of them is fetched', async () => {
    const { parts, engines } = partsOf(async () => ends);
    const tokenizer = { ...manifest.tokenizer, bytes: limits.endsBytesMax };
    const opened = openChat({ ...parts, source: saying({ ...manifest, tokenizer }) }, hash, () => undefined);
    await expect(opened).rejects.toThrow(EndsTooLargeError);
    expect(engines.started).toBe(0);
  });

  it('own layers count to what is fetched, and one layer at least is left to others: refused before anything is', async () => {
    const { parts, engines } = partsOf(async () => ends);
    const open = (ownLayers: OwnLayers, tokenizerBytes: number) => {
      const tokenizer = { ...manifest.tokenizer, bytes: tokenizerBytes };
      return openChat({ ...parts, ownLayers, source: saying({ ...manifest, tokenizer }) }, hash, () => undefined);
    };
    // The ends of this model have a quarter of that, its layers twice as much.
    const nearlyAll = limits.endsBytesMax - (1 << 20);
    await expect(open({ first: 0, last: 0 }, nearlyAll)).rejects.toThrow('nothing is to be fetched');
    await expect(open({ first: 4, last: 3 }, nearlyAll)).rejects.toThrow(EndsTooLargeError);
    await expect(open({ first: 4, last: 4 }, 1)).rejects.toThrow(InvalidValueError);
    await expect(open({ first: -1, last: 1 }, 1)).rejects.toThrow(InvalidValueError);
    expect(engines.started).toBe(0);
  });

  it('own layers are loaded beside the ends, their caches within one budget', async () => {
    const { parts, spans } = partsOf(async () => ends);
    await openChat({ ...parts, ownLayers: { first: 1, last: 3 } }, hash, () => undefined);
    expect(spans.map(({ span }) => span)).toEqual([
      { first: 0, last: 1 },
      { first: 5, last: 8 },
    ]);
    const budget = spans.reduce((sum, { cacheBytesMax }) => sum + cacheBytesMax, 0);
    expect(budget).toBeLessThanOrEqual(limits.ownCacheBytesMax);
  });

  it('a tokenizer that is no JSON is a typed error', async () => {
    const { parts, engines } = partsOf(async () => ends);
    const source = saying(manifest, new TextEncoder().encode('<!doctype html>'));
    await expect(openChat({ ...parts, source }, hash, () => undefined)).rejects.toThrow(DecodeError);
    expect(engines.started).toBe(0);
  });

  it('ends that cannot be loaded give their engine back: every try would keep one else', async () => {
    const { parts, engines } = partsOf(() => Promise.reject(new Error('the seed is gone')));
    await expect(openChat(parts, hash, () => undefined)).rejects.toThrow('the seed is gone');
    expect(engines).toEqual({ started: 1, disposed: 1 });
  });

  it('a peer that stops ends the engines of its chats, opened or opening', async () => {
    const opened = partsOf(async () => ends);
    await openChat(opened.parts, hash, () => undefined);
    expect(opened.engines.disposed).toBe(0);
    opened.abort.abort();
    expect(opened.engines.disposed).toBe(1);
    const opening = partsOf(async () => {
      opening.abort.abort();
      return ends;
    });
    await expect(openChat(opening.parts, hash, () => undefined)).rejects.toThrow(/abort/);
    expect(opening.engines.disposed).toBe(1);
  });
});
