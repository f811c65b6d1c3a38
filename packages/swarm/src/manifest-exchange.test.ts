import { limits as protocolLimits, manifestHash } from '@unfed/protocol';
import { VirtualClock } from '@unfed/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ManifestAsk, ManifestPart } from './exchange-frames.ts';
import * as limits from './limits.ts';
import { ManifestExchange } from './manifest-exchange.ts';
import { noise } from './model.fixture.ts';
import { TokenBucket } from './token-bucket.ts';

const hash = manifestHash('ab'.repeat(32));
const never = new AbortController().signal;

/** One end of a link: what it asks and gives is noted, or handed to the other end. */
function end(file: Uint8Array | undefined, clock = new VirtualClock()) {
  const asks: ManifestAsk[] = [];
  const given: ManifestPart[] = [];
  let reads = 0;
  const link = { ask: (ask: ManifestAsk): void => void ask, give: (part: ManifestPart): void => void part };
  const exchange = new ManifestExchange({
    clock,
    upload: new TokenBucket(clock),
    read: async () => {
      reads++;
      return file;
    },
    ask: (ask) => {
      asks.push(ask);
      link.ask(ask);
    },
    give: async (part) => {
      given.push(part);
      link.give(part);
    },
  });
  return { exchange, asks, given, link, reads: () => reads };
}

/** Somebody who asks, linked to a peer that has the file. */
function linked(file: Uint8Array | undefined) {
  const [asker, giver] = [end(undefined), end(file)];
  asker.link.ask = (ask) => giver.exchange.answer(ask);
  giver.link.give = (part) => asker.exchange.take(part);
  return { asker, giver, fetch: () => asker.exchange.fetch(hash, 'manifest', never) };
}

describe('the exchange of manifests', () => {
  it('F2: brings files of any size, part by part, read once', async () => {
    const sizes = fc.oneof(fc.integer({ min: 1, max: 300_000 }), fc.constantFrom(65_535, 65_536, 65_537, 131_072));
    await fc.assert(
      fc.asyncProperty(sizes, async (size) => {
        const file = noise(size, 5);
        const { giver, fetch } = linked(file);
        expect(Buffer.compare((await fetch())!, file)).toBe(0);
        expect(giver.given).toHaveLength(Math.ceil(size / limits.partBytesMax));
        expect(giver.reads()).toBe(1);
      }),
      { numRuns: 20 },
    );
  });

  it('F2: what is not held is not given, and says so', async () => {
    const { giver, fetch } = linked(undefined);
    expect(await fetch()).toBeUndefined();
    expect(giver.given).toEqual([{ offset: 0, totalBytes: 0, bytes: new Uint8Array() }]);
  });

  it('F2: one link is given so much and no more', async () => {
    const file = new Uint8Array(protocolLimits.manifestBytesMax);
    const { giver, fetch } = linked(file);
    while ((await fetch()) !== undefined);
    const sent = giver.given.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
    expect(sent).toBeGreaterThanOrEqual(2 * file.byteLength);
    expect(sent).toBeLessThanOrEqual(limits.manifestBytesSpentMax);
  });

  it('F1: a second ask beside one is refused', () => {
    const { exchange } = end(new Uint8Array(1));
    const ask: ManifestAsk = { manifest: hash, piece: 'manifest', offset: 0 };
    exchange.answer(ask);
    expect(() => exchange.answer(ask)).toThrow(expect.objectContaining({ code: 'decode' }));
  });

  const whole = limits.partBytesMax;
  const bad: Record<string, { piece?: 'signature'; part: Partial<ManifestPart> }> = {
    'at another place': { part: { offset: 1 } },
    'shorter than it must be': { part: { bytes: new Uint8Array(whole - 1) } },
    'longer than what is left': { part: { totalBytes: whole - 1 } },
    'of more than a manifest may have': { part: { totalBytes: protocolLimits.manifestBytesMax + 1 } },
    'of a signature that is none': { piece: 'signature', part: { totalBytes: 65, bytes: new Uint8Array(65) } },
    'of nothing, with bytes': { part: { totalBytes: 0 } },
  };
  for (const [name, { piece = 'manifest', part }] of Object.entries(bad)) {
    it(`F3: a part ${name} is refused`, () => {
      const { exchange } = end(undefined);
      void exchange.fetch(hash, piece, never);
      const good = { offset: 0, totalBytes: 2 * whole, bytes: new Uint8Array(whole) };
      expect(() => exchange.take({ ...good, ...part })).toThrow(expect.objectContaining({ code: 'decode' }));
    });
  }

  it('F3: a file that changes its length is refused, and so is a part that nobody asked for', async () => {
    const { exchange, asks, link } = end(undefined);
    const asked = new Promise<void>((resolve) => (link.ask = () => asks.length === 2 && resolve()));
    void exchange.fetch(hash, 'manifest', never);
    exchange.take({ offset: 0, totalBytes: 2 * whole, bytes: new Uint8Array(whole) });
    await asked;
    const next = { offset: whole, bytes: new Uint8Array(whole) };
    expect(() => exchange.take({ ...next, totalBytes: 3 * whole })).toThrow(/65536 on/);
    exchange.take({ ...next, totalBytes: 2 * whole });
    expect(() => exchange.take({ ...next, totalBytes: 2 * whole })).toThrow(/asked for/);
  });

  it('F5: a silent peer is given up, and asked nothing more until it has answered', async () => {
    const clock = new VirtualClock();
    const { exchange, asks } = end(undefined, clock);
    const fetching = exchange.fetch(hash, 'manifest', never);
    await clock.advance(limits.peerStallMs);
    expect([await fetching, exchange.isFree]).toEqual([undefined, false]);
    expect(await exchange.fetch(hash, 'signature', never)).toBeUndefined();
    expect(asks).toHaveLength(1);
    exchange.take({ offset: 0, totalBytes: 1, bytes: new Uint8Array(1) });
    expect(exchange.isFree).toBe(true);
  });

  it('ends with the link, and with its caller', async () => {
    const [ended, abort] = [end(undefined), new AbortController()];
    const left = ended.exchange.fetch(hash, 'manifest', never);
    ended.exchange.stop();
    expect(await left).toBeUndefined();
    const fetching = end(undefined).exchange.fetch(hash, 'manifest', abort.signal);
    abort.abort(new Error('enough'));
    expect(await fetching).toBeUndefined();
  });
});
