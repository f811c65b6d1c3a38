import type { FrameHandler, Link, ManifestHash } from '@unfed/protocol';
import { VirtualClock } from '@unfed/testing';
import { describe, expect, it } from 'vitest';
import { ChunkMap } from './chunk-map.ts';
import { decodeExchangeFrame, encodeExchangeFrame, type ExchangeFrame } from './exchange-frames.ts';
import { Exchange } from './exchange.ts';
import type { ExchangedModel } from './exchanged-model.ts';
import * as limits from './limits.ts';
import { identity, model } from './swarm.fixture.ts';
import { TokenBucket } from './token-bucket.ts';

const nothing = (): void => undefined;

/** An exchange of one model, and what it says; the other end has named the model too. */
function exchanging() {
  const clock = new VirtualClock(1_700_000_000_000);
  const said: ExchangeFrame[] = [];
  let hear: FrameHandler = nothing;
  const link = {
    peer: identity(9).peer,
    closed: new Promise<undefined>(nothing),
    send: (frame: Uint8Array) => Promise.resolve(void said.push(decodeExchangeFrame(frame))),
    onFrame: (handler: FrameHandler) => void (hear = handler),
    close: nothing,
  };
  const exchanged = {
    manifest: model.hash,
    chunks: new ChunkMap(model.manifest),
    gives: () => false,
    met: nothing,
    parted: nothing,
    choked: nothing,
  };
  const exchange = new Exchange({
    link: link as unknown as Link,
    clock,
    upload: new TokenBucket(clock),
    download: new TokenBucket(clock),
    models: new Map<ManifestHash, ExchangedModel>([[model.hash, exchanged as unknown as ExchangedModel]]),
    readManifest: () => Promise.resolve(undefined),
    onInterest: nothing,
    onSent: nothing,
    onEnd: nothing,
  });
  void hear(encodeExchangeFrame({ kind: 'hello', slot: 0, manifest: model.hash }));
  const gained = () => said.flatMap((frame) => (frame.kind === 'gained' ? [frame.chunks] : []));
  return { clock, exchange, exchanged: exchanged as unknown as ExchangedModel, gained };
}

describe('a link of the exchange', () => {
  it('X3: tells in one frame what is gained within 50 ms, each chunk once', async () => {
    const { clock, exchange, exchanged, gained } = exchanging();
    exchange.announce(exchanged, 0);
    exchange.announce(exchanged, 3);
    await clock.advance(limits.gainedSoonMs - 1);
    exchange.announce(exchanged, 1);
    expect(gained()).toEqual([]);
    await clock.advance(1);
    const [first, second, third] = [0, 3, 1].map((chunk) => {
      const { shard, chunk: place } = exchanged.chunks.at(chunk);
      return { shard, chunk: place };
    });
    expect(gained()).toEqual([[first, second, third]]);
    exchange.announce(exchanged, 2);
    await clock.advance(limits.gainedSoonMs);
    expect(gained()).toHaveLength(2);
  });

  it('X3: says nothing of it on a link that has ended', async () => {
    const { clock, exchange, exchanged, gained } = exchanging();
    exchange.announce(exchanged, 0);
    exchange.end('stopped');
    await clock.advance(limits.gainedSoonMs);
    expect(gained()).toEqual([]);
  });
});
