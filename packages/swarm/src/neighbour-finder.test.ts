import { layerShard, type Announcement, type Link, type Links, type PeerId, type Span } from '@unfed/protocol';
import { seededRandom, VirtualClock } from '@unfed/testing';
import { describe, expect, it } from 'vitest';
import * as limits from './limits.ts';
import { NeighbourFinder } from './neighbour-finder.ts';
import { peerHash } from './origin-turn.ts';
import { identity, model } from './swarm.fixture.ts';

const peer = (number: number): PeerId => identity(number).peer;

/** A peer that exchanges the model, and serves a span of it, if one is given. */
function announcement(number: number, span?: Span): Announcement {
  const served = { manifest: model.hash, stepsPerSecond: 1, queueLength: 0, backend: 'wasm' as const };
  const stage = span === undefined ? null : { ...served, span };
  return { peer: peer(number), stage, seeds: [model.hash], addresses: [] } as unknown as Announcement;
}

/** A finder that wants layer 1 alone, among these, and the peers that it dials, in order. */
function finderAmong(announcements: readonly Announcement[], isNeighbour: (peer: PeerId) => boolean = () => false) {
  const dialled: PeerId[] = [];
  const links = {
    self: peer(200),
    open: (to: PeerId) => {
      dialled.push(to);
      return new Promise<Link>(() => undefined);
    },
  };
  const finder = new NeighbourFinder({
    links: links as unknown as Links,
    directory: { announcements: () => announcements, onChange: () => () => undefined },
    clock: new VirtualClock(),
    random: seededRandom(4),
    isNeighbour,
    isWanted: (of, shard) => of === model.hash && shard === layerShard(1),
    isRefused: () => false,
    has: () => false,
    onLink: () => undefined,
  });
  return { finder, dialled };
}

describe('peers to exchange with', () => {
  it('N1: are first those that may have what is wanted, last those that serve other layers', () => {
    const useful = [announcement(1, { first: 0, last: 2 }), announcement(2), announcement(3, { first: 1, last: 512 })];
    const others = Array.from({ length: limits.dialsMax }, (_, i) => announcement(10 + i, { first: 0, last: 1 }));
    const { finder, dialled } = finderAmong([...others, ...useful]);
    finder.find([model.hash]);
    expect(dialled.slice(0, 3).toSorted()).toEqual(useful.map((it) => it.peer).toSorted());
    expect(dialled).toHaveLength(limits.dialsMax);
  });

  it('N1: are neighbours in a running circuit only after others that may have it', () => {
    const all = [1, 2, 3].map((number) => announcement(number));
    const { finder, dialled } = finderAmong(
      [...all, announcement(10, { first: 0, last: 1 })],
      (of) => of === peer(1) || of === peer(2),
    );
    finder.find([model.hash]);
    expect([dialled[0], dialled[3]]).toEqual([peer(3), peer(10)]);
  });

  it('N2: count for the turns at the origin only while they may want something', () => {
    const { finder } = finderAmong([announcement(1), announcement(2, { first: 0, last: 1 }), announcement(3)]);
    expect(finder.hashesOf(model.hash)).toEqual([peer(1), peer(3)].map(peerHash));
  });
});
