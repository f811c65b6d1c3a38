import { identityFromSeed, stageProtocol, swarmProtocol } from '@unfed/protocol';
import { createMemoryNetwork } from '@unfed/testing';
import { describe, expect, it } from 'vitest';
import { watchStageNeighbours } from './stage-neighbours.ts';

const [a, b, c] = [1, 2, 3].map((n) => identityFromSeed(new Uint8Array(32).fill(n)));

describe('neighbours in circuits', () => {
  it('are peers with an open link of the stage protocol, whoever opened it, and no others', async () => {
    const network = createMemoryNetwork({ seed: 1 });
    const near = watchStageNeighbours(network.peer(a));
    const taken = new Promise((resolve) => near.links.accept(stageProtocol, resolve));
    for (const other of [b, c])
      for (const protocol of [stageProtocol, swarmProtocol]) {
        network.peer(other).accept(protocol, () => undefined);
      }
    await near.links.open(c.peer, swarmProtocol);
    expect(near.has(c.peer)).toBe(false);
    await network.peer(b).open(a.peer, stageProtocol);
    await taken;
    const link = await near.links.open(c.peer, stageProtocol);
    expect([near.has(b.peer), near.has(c.peer)]).toEqual([true, true]);
    link.close();
    await link.closed;
    await Promise.resolve();
    expect([near.has(b.peer), near.has(c.peer)]).toEqual([true, false]);
    network.stop();
  });
});
