import { embeddingShard, shardFileName, swarmProtocol, type Link } from '@unfed/protocol';
import { VirtualClock } from '@unfed/testing';
import { afterEach, describe, expect, it } from 'vitest';
import type { ExchangeFrame } from './exchange-frames.ts';
import * as limits from './limits.ts';
import { noise } from './model.fixture.ts';
import { RawPeer } from './raw-peer.fixture.ts';
import { allShards, fileOf, identity, isShard, model, seedOf, storeWith, world } from './swarm.fixture.ts';
import type { TestPeer, World } from './swarm.fixture.ts';

let here: World = world();
afterEach(() => here.stop());

const shards = (peer: TestPeer): Promise<boolean[]> =>
  Promise.all(allShards.map(async (id) => isShard(id, await peer.swarm.shard(model.manifest, id))));
const whole = [true, true, true, true];

/** A peer that claims to have all, is announced, and answers as it likes. */
function hostile(answer: (frame: ExchangeFrame, peer: RawPeer) => void): void {
  const who = identity(66);
  here.network.peer(who).accept(swarmProtocol, (link) => {
    const raw = new RawPeer(link, answer);
    raw.offerAll();
  });
  here.announce(who, [model.hash]);
}

/** Serves requests, with what `bend` makes of the bytes. */
function serving(bend: (bytes: Uint8Array) => Uint8Array): (frame: ExchangeFrame, peer: RawPeer) => void {
  return (frame, peer) => {
    if (frame.kind !== 'request') return;
    const { id, shard, chunk, offset, bytes } = frame;
    const from = (chunk << 20) + offset;
    const file = fileOf(shardFileName(allShards[shard] ?? embeddingShard));
    const given = bend(file.slice(from, from + bytes));
    for (let at = 0; at < given.length; at += limits.partBytesMax) {
      peer.send({ kind: 'part', id, offset: offset + at, bytes: given.subarray(at, at + limits.partBytesMax) });
    }
  };
}

describe('a swarm among hostile peers', () => {
  it('V1, V2: stores no wrong byte, bans who sent it, and completes from others', async () => {
    here = world();
    hostile(serving((bytes) => noise(bytes.length, 99)));
    here.peer(1, { store: await storeWith() });
    await here.announced(2);
    const peer = here.peer(2);
    expect(await shards(peer)).toEqual(whole);
    expect(peer.swarm.bans).toEqual([{ peer: identity(66).peer, reason: 'bad-bytes' }]);
    const again = await here.network
      .peer(identity(66))
      .open(peer.identity.peer, swarmProtocol)
      .then((link) => link.closed);
    expect(again).toBeUndefined();
    expect(peer.swarm.bans).toHaveLength(1);
  });

  it('V1: takes good bytes from a peer that is written by hand', async () => {
    here = world();
    hostile(serving((bytes) => bytes));
    await here.announced(1);
    const peer = here.peer(2);
    expect(await shards(peer)).toEqual(whole);
    expect(peer.swarm.bans).toEqual([]);
  });

  it('P7: passes over a peer that announces all and sends nothing, when the seed works', async () => {
    const clock = new VirtualClock(1_700_000_000_000);
    here = world({ clock });
    hostile(() => undefined);
    await clock.advance(100);
    const seed = seedOf();
    const peer = here.peer(2, { seed, clock });
    expect(await clock.until(shards(peer))).toEqual(whole);
    await clock.advance(100_000);
    expect(peer.swarm.progress[0].bytesFromPeers).toBe(0);
  });

  it('P7: a peer that rejects everything is no obstacle', async () => {
    const clock = new VirtualClock(1_700_000_000_000);
    here = world({ clock });
    hostile((frame, peer) => {
      if (frame.kind === 'request') peer.send({ kind: 'reject', id: frame.id, reason: 'not-held' });
    });
    await clock.advance(100);
    const peer = here.peer(2, { seed: seedOf(), clock });
    expect(await clock.until(shards(peer))).toEqual(whole);
  });

  it('X8: ends the link of a peer that floods it with requests', async () => {
    here = world();
    const peer = here.peer(1, { store: await storeWith() });
    await here.announced(1);
    const raw = await RawPeer.dial(here.network, identity(66), peer.identity.peer);
    raw.hello();
    for (let id = 0; id < 10 * limits.refusalsMax; id++) {
      raw.send({ kind: 'request', id, slot: 0, shard: 0, chunk: 0, offset: 0, bytes: 1 << 20 });
    }
    expect(await raw.frame('bye')).toEqual({ kind: 'bye', reason: 'flood' });
    await raw.ended;
    expect(raw.frames.filter(({ kind }) => kind === 'reject').length).toBeLessThanOrEqual(limits.refusalsMax);
    expect(peer.swarm.bans).toEqual([{ peer: identity(66).peer, reason: 'flood' }]);
    expect(peer.swarm.upload.bytesSent).toBe(0);
  });

  it('X5: rejects requests outside the shard, for unknown models, and of a peer that is choked', async () => {
    here = world();
    const peer = here.peer(1, { store: await storeWith([embeddingShard]) });
    await here.announced(1);
    const raw = await RawPeer.dial(here.network, identity(66), peer.identity.peer);
    raw.hello();
    raw.send({ kind: 'interested' });
    const ask = (id: number, at: { slot?: number; shard?: number; chunk?: number; offset?: number; bytes?: number }) =>
      raw.send({ kind: 'request', id, slot: 0, shard: 0, chunk: 0, offset: 0, bytes: 1, ...at });
    ask(0, {});
    await raw.frame('unchoke');
    ask(1, { shard: 4 });
    ask(2, { chunk: 3 });
    ask(3, { chunk: 2, offset: 12_345 });
    ask(4, { slot: 1 });
    ask(5, { shard: 1 });
    ask(6, { chunk: 2, offset: 12_340, bytes: 5 });
    expect((await raw.frame('part')).id).toBe(6);
    const rejects = raw.frames.flatMap((frame) => (frame.kind === 'reject' ? [[frame.id, frame.reason]] : []));
    expect(rejects).toEqual([
      [0, 'choked'],
      [1, 'outside'],
      [2, 'outside'],
      [3, 'outside'],
      [4, 'unknown-model'],
      [5, 'not-held'],
    ]);
  });

  it('X6: more requests than the line holds are rejected, and those in it are served', async () => {
    here = world();
    const peer = here.peer(1, { store: await storeWith() });
    await here.announced(1);
    const raw = await RawPeer.dial(here.network, identity(66), peer.identity.peer);
    raw.hello();
    raw.send({ kind: 'interested' });
    await raw.frame('unchoke');
    const count = limits.requestsWaitingMax + 10;
    for (let id = 0; id < count; id++) {
      raw.send({ kind: 'request', id, slot: 0, shard: 0, chunk: 0, offset: 0, bytes: 10 });
    }
    const rejected = await raw.frame('reject');
    expect(rejected.reason).toBe('too-many');
    while (raw.frames.filter(({ kind }) => kind === 'part' || kind === 'reject').length < count) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    const parts = raw.frames.filter(({ kind }) => kind === 'part').length;
    expect(parts).toBeGreaterThanOrEqual(limits.requestsWaitingMax);
    expect(peer.swarm.bans).toEqual([]);
  });

  const breaches: Record<string, (raw: RawPeer) => void> = {
    'X1: a frame that is too long': (raw) => raw.sendBytes(new Uint8Array((64 << 10) + 17).fill(5)),
    'X1: a frame of no kind': (raw) => raw.sendBytes(Uint8Array.of(99)),
    'X4: a bitmap of the wrong size': (raw) => raw.send({ kind: 'have', slot: 0, shard: 0, bitmap: new Uint8Array(2) }),
    'X4: a bitmap with bits behind its end': (raw) =>
      raw.send({ kind: 'have', slot: 0, shard: 0, bitmap: Uint8Array.of(0xff) }),
    'X4: a shard that the model has not': (raw) =>
      raw.send({ kind: 'have', slot: 0, shard: 4, bitmap: Uint8Array.of(1) }),
    'X4: a gained chunk outside its shard': (raw) =>
      raw.send({ kind: 'gained', slot: 0, chunks: [{ shard: 0, chunk: 3 }] }),
    'X4: a chunk outside its shard that was heard of': (raw) =>
      raw.send({ kind: 'heard', slot: 0, chunks: [{ round: 1, shard: 0, chunk: 3 }] }),
    'O3: a round that there is not': (raw) =>
      raw.send({ kind: 'heard', slot: 0, chunks: [{ round: limits.rumourRoundsMax + 1, shard: 0, chunk: 0 }] }),
    'X3: a slot that was never named': (raw) => raw.send({ kind: 'gained', slot: 5, chunks: [{ shard: 0, chunk: 0 }] }),
    'X3: a model that is named twice': (raw) => raw.send({ kind: 'hello', slot: 1, manifest: model.hash }),
    'X7: a part that nobody asked for': (raw) =>
      raw.send({ kind: 'part', id: 9, offset: 0, bytes: new Uint8Array(10) }),
  };
  for (const [name, breach] of Object.entries(breaches)) {
    it(`${name} ends the link, with a ban`, async () => {
      here = world();
      const peer = here.peer(1, { store: await storeWith() });
      await here.announced(1);
      const raw = await RawPeer.dial(here.network, identity(66), peer.identity.peer);
      raw.hello();
      breach(raw);
      expect(await raw.frame('bye')).toEqual({ kind: 'bye', reason: 'bad-frame' });
      await raw.ended;
      expect(peer.swarm.bans).toEqual([{ peer: identity(66).peer, reason: 'bad-frame' }]);
    });
  }

  it('X7: a part at another place than the next ends the link, and the chunk comes from elsewhere', async () => {
    here = world();
    hostile((frame, peer) => {
      if (frame.kind === 'request') peer.send({ kind: 'part', id: frame.id, offset: 3, bytes: new Uint8Array(4) });
    });
    here.peer(1, { store: await storeWith() });
    await here.announced(2);
    const peer = here.peer(2);
    expect(await shards(peer)).toEqual(whole);
    expect(peer.swarm.bans.map(({ reason }) => reason)).toEqual(['bad-frame']);
  });

  it('X9: no chunk travels over a relayed link', async () => {
    here = world();
    const links = here.network.peer(identity(2));
    const closed: string[] = [];
    const relayed = (link: Link): Link =>
      Object.assign(Object.create(link) as Link, {
        relayed: true,
        peer: link.peer,
        close: () => {
          closed.push(link.peer);
          link.close();
        },
      });
    const options = { ...links, self: links.self, open: links.open.bind(links), accept: links.accept.bind(links) };
    here.peer(1, { store: await storeWith() });
    await here.announced(1);
    const seed = seedOf();
    const peer = here.peer(2, {
      seed,
      links: { ...options, open: async (...args) => relayed(await options.open(...args)) },
    });
    expect(await shards(peer)).toEqual(whole);
    expect(closed).toContain(identity(1).peer);
    expect(peer.swarm.progress[0].bytesFromPeers).toBe(0);
  });
});
