import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { build, namesOf, stageRole, World, WorldClient } from './circuit-world.fixture.ts';
import { cellsOf } from './data-cells.ts';
import * as limits from './limits.ts';

const step = Uint8Array.from({ length: 5000 }, (_, i) => i % 250);
const plus = (by: number) => step.map((byte) => byte + by);

describe('a circuit (C8 to C20)', () => {
  it.each([
    [1, 1],
    [1, 3],
    [2, 1],
    [2, 3],
    [3, 4],
  ])('%i forwarding hops and %i stages: steps go around in one loop', async (forwarders, stages) => {
    const world = new World(namesOf(forwarders, stages));
    const client = await build(world, { forwarders, stages });
    const hops = Array.from({ length: forwarders + stages }, (_, hop) => `extended ${hop} 0`);
    hops.splice(forwarders, 0, `established ${forwarders - 1}`);
    expect(client.heard()).toEqual(hops);
    world.sent.length = 0;
    for (let i = 0; i < 3; i++) {
      await client.circuit.sendMessage(step, { padded: false });
      await world.run();
    }
    expect(client.results).toEqual([plus(stages), plus(stages), plus(stages)]);
    expect(client.heard()).toEqual([]);
    // Cells per step and link, and no other cell: the stages and one, and each forwarding hop twice.
    expect(world.sent).toHaveLength(3 * cellsOf(step.length, false) * (stages + 1 + 2 * forwarders));
    expect(new Set(world.sent.map(({ frame }) => frame.length))).toEqual(new Set([limits.cellBytes]));
  });

  it('two runs with one seed are the same, byte for byte', async () => {
    const run = async () => {
      const world = new World(namesOf(2, 2));
      const client = await build(world, { forwarders: 2, stages: 2 });
      await client.circuit.sendMessage(step, { padded: true });
      await world.run();
      return world.sent;
    };
    expect(await run()).toEqual(await run());
  });

  it('many circuits share links without mixing', async () => {
    const world = new World(namesOf(2, 2));
    const clients: WorldClient[] = [];
    for (const id of [7, 8, 9]) {
      const client = new WorldClient(world, 'f0', id);
      clients.push(client);
      const cookie = new Uint8Array(16).fill(id);
      for (const name of ['f0', 'f1']) {
        client.circuit.extend(world.peer(name).target, { role: 'forward' });
        await world.run();
      }
      client.circuit.establish(cookie, world.peer('s0').peer);
      const { peer } = world.peer('f1');
      client.circuit.extend(world.peer('s0').target, { ...stageRole(0, 1, peer), next: { peer, cookie } });
      await world.run();
    }
    await Promise.all(clients.map(({ circuit }, i) => circuit.sendMessage(Uint8Array.of(i), { padded: false })));
    await world.run();
    expect(clients.map(({ results }) => results)).toEqual([[Uint8Array.of(1)], [Uint8Array.of(2)], [Uint8Array.of(3)]]);
  });

  it('what a client closes is gone everywhere', async () => {
    const world = new World(namesOf(2, 2));
    const client = await build(world, { forwarders: 2, stages: 2 });
    client.circuit.close();
    await world.run();
    expect([...world.peers.values()].map(({ table }) => [table.circuits, table.heldCells])).toEqual(
      [0, 1, 2, 3].map(() => [0, 0]),
    );
    expect(world.peer('s1').closings).toEqual(['closed']);
    await client.circuit.sendMessage(step, { padded: false });
    await world.run();
    expect(client.results).toEqual([]);
  });

  it('is cut and extended again: another stage takes the place, at a new rendezvous', async () => {
    const world = new World(namesOf(1, 2));
    const client = await build(world, { forwarders: 1, stages: 1 });
    await client.circuit.sendMessage(step, { padded: false });
    await world.run();
    client.circuit.truncate(0);
    await world.run();
    const cookie = new Uint8Array(16).fill(6);
    const { peer } = world.peer('f0');
    client.circuit.establish(cookie, world.peer('s1').peer);
    client.circuit.extend(world.peer('s1').target, { ...stageRole(0, 1, peer), next: { peer, cookie } });
    await world.run();
    expect(client.heard()).toEqual([
      'extended 0 0',
      'established 0',
      'extended 1 0',
      'truncated 0 next closed',
      'truncated 0 rendezvous closed',
      'established 0',
      'extended 1 0',
    ]);
    await client.circuit.sendMessage(step, { padded: false });
    await world.run();
    expect(client.results).toEqual([plus(1), plus(1)]);
    expect([world.peer('s0').table.circuits, world.peer('s0').closings]).toEqual([0, ['closed']]);
  });

  it('cover: a loop to any hop comes back, and is nothing but cells of one size', async () => {
    const world = new World(namesOf(2, 2));
    const client = await build(world, { forwarders: 2, stages: 2 });
    client.heard();
    for (const hop of [0, 1, 2, 3]) client.circuit.loop(hop, 40 + hop);
    await world.run();
    expect(client.heard()).toEqual(['looped 0 40', 'looped 1 41', 'looped 2 42', 'looped 3 43']);
  });

  it('a session is known at each hop by another id, and no neighbour sees it', async () => {
    const world = new World(namesOf(2, 3));
    const client = await build(world, { forwarders: 2, stages: 3 });
    const ids = [0, 1, 2, 3, 4].map((hop) => client.circuit.sessionOf(hop).session);
    expect(new Set(ids).size).toBe(5);
    const [stage] = [...world.peer('s1').stages];
    expect(stage.keys.session).toBe(ids[3]);
    const wire = world.sent.map(({ frame }) => Buffer.from(frame).toString('hex')).join('|');
    for (const id of ids) expect(wire).not.toContain(id);
    const circuits = new Set(
      world.sent.map(
        ({ frame, from, to }) => [from, to].sort().join() + Buffer.from(frame.subarray(1, 5)).toString('hex'),
      ),
    );
    const numbers = [...circuits].map((each) => each.slice(-8));
    expect(new Set(numbers).size).toBe(numbers.length);
  });
});

describe('messages in cells (C17)', () => {
  it('any message of any size goes around, padded or not', async () => {
    const world = new World(namesOf(1, 1));
    const client = await build(world, { forwarders: 1, stages: 1 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 40_000 }), fc.boolean(), async (bytes, padded) => {
        const message = Uint8Array.from({ length: bytes }, (_, i) => i % 255);
        world.sent.length = 0;
        await client.circuit.sendMessage(message, { padded });
        await world.run();
        expect(client.results.pop()).toEqual(message.map((byte) => byte + 1));
        const cells = world.sent.filter(({ from }) => from === 'client').length;
        expect(cells).toBe(cellsOf(bytes, padded));
        if (padded) expect(Number.isInteger(Math.log2(cells))).toBe(true);
      }),
      { numRuns: 12 },
    );
  });
});
