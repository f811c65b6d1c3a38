import { afterEach, describe, expect, it } from 'vitest';
import type { ExchangeFrame, HeardChunk } from './exchange-frames.ts';
import { RawPeer } from './raw-peer.fixture.ts';
import { allShards, identity, model, seedOf, world, type World } from './swarm.fixture.ts';

let here: World = world();
afterEach(() => here.stop());

const heard = (frames: readonly ExchangeFrame[]): HeardChunk[] =>
  frames.flatMap((frame) => (frame.kind === 'heard' ? frame.chunks : []));

/** Linked to a peer that wants everything. */
async function linked(number: number, to: Parameters<typeof RawPeer.dial>[2]): Promise<RawPeer> {
  const raw = await RawPeer.dial(here.network, identity(number), to);
  raw.hello();
  return raw;
}

describe('what is heard of chunks', () => {
  it('O3: who asks the origin says so to its peers', async () => {
    here = world();
    const seed = seedOf();
    const peer = here.peer(1, { seed });
    await peer.swarm.want(model.manifest, []);
    const raw = await linked(66, peer.identity.peer);
    await raw.frame('have');
    await peer.swarm.want(model.manifest, allShards);
    const [claim] = (await raw.frame('heard')).chunks;
    expect(claim.round).toBe(1);
    const { id } = model.manifest.shards[claim.shard];
    expect(seed.reads.some(({ path, start }) => path.includes(id) && start === claim.chunk << 20)).toBe(true);
  });

  it('O3: what is news is passed on, once, and told to who comes', async () => {
    here = world();
    const peer = here.peer(1);
    await peer.swarm.want(model.manifest, []);
    const [one, two] = [await linked(66, peer.identity.peer), await linked(67, peer.identity.peer)];
    await Promise.all([one.frame('have'), two.frame('have')]);
    const news: HeardChunk = { round: 1, shard: 2, chunk: 0 };
    one.send({ kind: 'heard', slot: 0, chunks: [news] });
    one.send({ kind: 'heard', slot: 0, chunks: [news] });
    expect((await two.frame('heard')).chunks).toEqual([news]);
    const three = await linked(68, peer.identity.peer);
    expect((await three.frame('heard')).chunks).toEqual([news]);
    expect(heard(two.frames)).toEqual([news]);
  });

  it('O3: a chunk of a private shard is not spoken of', async () => {
    here = world();
    const hidden = allShards[2];
    const peer = here.peer(1, { isPrivate: (shard) => shard === hidden });
    await peer.swarm.want(model.manifest, []);
    const [one, two] = [await linked(66, peer.identity.peer), await linked(67, peer.identity.peer)];
    await Promise.all([one.frame('have'), two.frame('have')]);
    const open: HeardChunk = { round: 1, shard: 1, chunk: 0 };
    one.send({ kind: 'heard', slot: 0, chunks: [{ round: 1, shard: 2, chunk: 0 }, open] });
    await two.frame('heard');
    expect(heard(two.frames)).toEqual([open]);
  });

  it('O5: a chunk that somebody said to fetch is not asked of the origin at once', async () => {
    here = world();
    const seed = seedOf();
    const peer = here.peer(1, { seed });
    await peer.swarm.want(model.manifest, []);
    const raw = await linked(66, peer.identity.peer);
    await raw.frame('have');
    const claimed: HeardChunk = { round: 1, shard: 1, chunk: 0 };
    raw.send({ kind: 'heard', slot: 0, chunks: [claimed] });
    // The peer has read it when it has passed it on.
    const witness = await linked(67, peer.identity.peer);
    expect((await witness.frame('heard')).chunks).toEqual([claimed]);
    const others = allShards.filter((_, shard) => shard !== 1);
    await peer.swarm.want(model.manifest, allShards);
    await Promise.all(others.map((id) => peer.swarm.shard(model.manifest, id)));
    const { id } = model.manifest.shards[1];
    expect(seed.reads.filter(({ path, start }) => path.includes(id) && start === 0)).toEqual([]);
  });
});
