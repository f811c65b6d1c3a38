/** What a bad peer can do, by name: the circuit ends with a typed reason, or nothing happens, and nothing is kept. */
import { concat } from './bytes.ts';
import { publicKeyOf, UnfedError } from '@unfed/protocol';
import { describe, expect, it } from 'vitest';
import { build, flip, namesOf, stageRole, step, whole, World, WorldClient, type End } from './circuit-world.fixture.ts';
import { decodeCell, encodeCell, handshakeBody, type CellType } from './cell.ts';
import { verification } from './circuit-keys.ts';
import * as limits from './limits.ts';
import { encodeRole } from './messages.ts';
import { startHandshake } from './ntor.ts';
import { seededBytes } from './seeded-random.fixture.ts';

const typeOf = (frame: Uint8Array): CellType => decodeCell(frame).type;

/** Changes the first frame of a type between two peers. */
function tamperOnce(
  world: World,
  at: { from: string; to: string; type: CellType },
  change: (frame: Uint8Array) => Uint8Array[],
) {
  let done = false;
  world.tamper = ({ from, to, frame }) => {
    if (done || from !== at.from || to !== at.to || typeOf(frame) !== at.type) return [frame];
    done = true;
    return change(frame);
  };
}

describe('cells on the way', () => {
  it('altered between hops: the next hop notices, and the client hears where', async () => {
    const { world, client } = await whole();
    tamperOnce(world, { from: 'f0', to: 'f1', type: 'forward' }, (frame) => [flip(frame)]);
    await client.circuit.sendMessage(step, { padded: false });
    await world.run();
    expect(client.heard()).toEqual(['truncated 0 next bad-cell']);
    expect(client.results).toEqual([]);
    expect(world.peer('s0').messages).toEqual([]);
  });

  it('repeated: the second ends the circuit there', async () => {
    const { world, client } = await whole();
    tamperOnce(world, { from: 'f1', to: 's0', type: 'forward' }, (frame) => [frame, frame]);
    await client.circuit.sendMessage(step, { padded: false });
    await world.run();
    expect(client.heard()).toContain('truncated 1 next bad-cell');
  });

  it('kept back, so that the next comes too early', async () => {
    const { world, client } = await whole();
    tamperOnce(world, { from: 'client', to: 'f0', type: 'forward' }, () => []);
    await client.circuit.sendMessage(step, { padded: false });
    await client.circuit.sendMessage(step, { padded: false });
    await world.run();
    expect(client.heard()).toEqual(['ended bad-cell 0']);
  });

  it('put out of order between stages', async () => {
    const { world, client } = await whole();
    let kept: Uint8Array | undefined;
    world.tamper = ({ from, to, frame }) => {
      if (from !== 's0' || to !== 's1' || typeOf(frame) !== 'hand') return [frame];
      if (kept !== undefined) return [frame, kept];
      kept = frame;
      return [];
    };
    await client.circuit.sendMessage(step, { padded: false });
    await client.circuit.sendMessage(step, { padded: false });
    await world.run();
    expect(client.heard()).toEqual(['truncated 1 rendezvous bad-cell', 'truncated 2 next bad-cell']);
    expect(world.peer('s1').messages).toEqual([]);
  });

  it.each(['backward', 'result'] as const)(
    'a %s cell altered on its way back is noticed by the client',
    async (type) => {
      const { world, client } = await whole();
      const at = type === 'result' ? { from: 's1', to: 'f1' } : { from: 'f1', to: 'f0' };
      tamperOnce(world, { ...at, type }, (frame) => [flip(frame)]);
      await client.circuit.sendMessage(step, { padded: false });
      await world.run();
      expect(client.heard()).toEqual(['ended bad-cell 0,1,2,3']);
      expect(client.results).toEqual([]);
      expect([...world.peers.values()].map(({ table }) => table.circuits)).toEqual([0, 0, 0, 0, 0]);
    },
  );

  it('cut short, or of an unknown type: the link is to be closed', async () => {
    const { world } = await whole();
    const link = world.link('f0', 'client');
    for (const frame of [new Uint8Array(0), new Uint8Array(limits.cellBytes - 1), new Uint8Array(limits.cellBytes)]) {
      expect(() => world.peer('f0').table.receive(link, frame)).toThrow(UnfedError);
    }
  });

  it('for a circuit that its sender is not in change nothing', async () => {
    const { world, client } = await whole();
    const ours = world.sent.concat();
    const ids = new Set<number>();
    world.tamper = ({ frame }) => {
      ids.add(decodeCell(frame).circuit);
      return [frame];
    };
    await client.circuit.sendMessage(step, { padded: false });
    await world.run();
    expect(ours).toEqual([]);
    const stranger = world.link('x0', 'f1');
    for (const circuit of ids) {
      for (const type of ['forward', 'hand', 'result', 'destroy', 'backward', 'destroyed'] as const) {
        const body = seededBytes(circuit)(limits.bodyBytes);
        world.peer('f1').table.receive(stranger.other, encodeCell({ type, circuit, body }));
      }
    }
    await client.circuit.sendMessage(step, { padded: false });
    await world.run();
    expect(client.results).toHaveLength(2);
  });
});

describe('handshakes', () => {
  const asked = async (name: string, change: (world: World) => void = () => undefined) => {
    const world = new World(['f0', 'f1', 's0']);
    const client = new WorldClient(world, 'f0', 1);
    client.circuit.extend(world.peer('f0').target, { role: 'forward' });
    await world.run();
    change(world);
    client.circuit.extend(world.peer(name).target, { role: 'forward' });
    await world.run();
    return { world, client, said: client.heard().slice(1) };
  };

  it('a hop that answers with a wrong key is named, and who passed the answer on', async () => {
    const { said, world } = await asked('f1', (world) => {
      tamperOnce(world, { from: 'f1', to: 'f0', type: 'created' }, (frame) => [flip(frame, 20)]);
    });
    expect(said).toEqual(['ended bad-handshake 0,1']);
    expect([...world.peers.values()].map(({ table }) => table.circuits)).toEqual([0, 0, 0]);
  });

  it('a stale hop key is refused as such', async () => {
    const world = new World(['f0', 'f1']);
    const stale = world.peer('f1').target;
    world.nowMs += 2 * limits.hopKeyMs;
    const client = new WorldClient(world, 'f0', 1);
    client.circuit.extend(world.peer('f0').target, { role: 'forward' });
    await world.run();
    client.circuit.extend(stale, { role: 'forward' });
    await world.run();
    expect(client.heard()).toEqual(['extended 0 0', 'truncated 0 next stale-key']);
  });

  it('a handshake that is replayed, on any link, is refused', async () => {
    const { world } = await whole();
    const again = new World(['f0']);
    const first = new WorldClient(again, 'f0', 3);
    first.circuit.extend(again.peer('f0').target, { role: 'forward' });
    await again.run();
    const [{ frame }] = again.sent;
    const link = again.link('client', 'f0');
    const other: End = { ...link };
    again.sent.length = 0;
    again.peer('f0').table.receive(other, frame);
    expect(again.peer('f0').table.circuits).toBe(1);
    expect(decodeCell(again.sent[0].frame).type).toBe('destroyed');
    expect(world.peer('f0').table.circuits).toBe(1);
  });

  it('a hop that never answers is given up in time, and the client hears which', async () => {
    const world = new World(['f0', 's0']);
    world.peer('s0').silent = true;
    const client = new WorldClient(world, 'f0', 1);
    client.circuit.extend(world.peer('f0').target, { role: 'forward' });
    await world.run();
    client.circuit.extend(world.peer('s0').target, stageRole(0, 1, world.peer('f0').peer));
    await world.run();
    world.nowMs += limits.extendMsMax + 1;
    world.peer('f0').table.sweep();
    await world.run();
    expect(client.heard()).toEqual(['extended 0 0', 'truncated 0 next timeout']);
    world.peer('s0').table.sweep();
    expect(world.peer('s0').table.circuits).toBe(0);
  });

  it('a stage that refuses says why to the client alone', async () => {
    const world = new World(['f0', 's0']);
    world.peer('s0').refuse = { code: 'busy', message: 'no room' };
    const client = new WorldClient(world, 'f0', 1);
    client.circuit.extend(world.peer('f0').target, { role: 'forward' });
    await world.run();
    client.circuit.extend(world.peer('s0').target, stageRole(0, 1, world.peer('f0').peer));
    await world.run();
    expect(client.heard()).toEqual(['extended 0 0', 'failed 1 busy', 'truncated 0 next refused']);
    const wire = world.sent.map(({ frame }) => Buffer.from(frame).toString('latin1')).join('');
    expect(wire).not.toContain('no room');
  });

  it('to extend to itself, or back to where it came from, is not allowed', async () => {
    expect((await asked('f0')).said).toEqual(['truncated 0 next not-allowed']);
    const { world, client } = await asked('f1');
    client.circuit.extend(world.peer('f0').target, { role: 'forward' });
    await world.run();
    expect(client.heard()).toEqual(['truncated 1 next not-allowed']);
  });

  it('a loop of hops ends at the limit of hops', async () => {
    const { world, client } = await asked('f1');
    for (let i = 0; client.circuit.length < limits.hopsMax; i++) {
      client.circuit.extend(world.peer(['s0', 'f0', 'f1'][i % 3]).target, { role: 'forward' });
      await world.run();
    }
    expect(() => client.circuit.extend(world.peer('s0').target, { role: 'forward' })).toThrow(UnfedError);
  });

  it('a peer that does not exist, or cannot be reached: the client hears it and goes on', async () => {
    const { said, world, client } = await asked('f1', (world) => {
      world.peer('f0').extendReason = 'unreachable';
    });
    expect(said).toEqual(['truncated 0 next unreachable']);
    world.peer('f0').extendReason = undefined;
    const stranger = new World(['elsewhere', 'other']).peer('other').target;
    client.circuit.extend({ ...stranger, peer: world.idOf('somebody else') }, { role: 'forward' });
    await world.run();
    client.circuit.extend(world.peer('f1').target, { role: 'forward' });
    await world.run();
    expect(client.heard()).toEqual(['truncated 0 next unknown-peer', 'extended 1 0']);
  });

  it('extensions of one circuit have a limit', async () => {
    const { world, client } = await asked('f1', (world) => {
      world.peer('f0').extendReason = 'unreachable';
    });
    for (let i = 1; i <= limits.extendsPerCircuitMax; i++) {
      client.circuit.extend(world.peer('f1').target, { role: 'forward' });
      await world.run();
    }
    expect(client.heard().at(-1)).toBe('truncated 0 next not-allowed');
  });
});

describe('floods', () => {
  it('of handshakes meet a rate before they cost anything, and a limit of circuits', async () => {
    const world = new World(['f0']);
    const { table, target } = world.peer('f0');
    const link = world.link('client', 'f0').other;
    const random = seededBytes(5);
    const own = { id: publicKeyOf(target.peer), hopKey: target.hopKey, verification };
    const create = (circuit: number): void => {
      const { handshake } = startHandshake(own, encodeRole({ role: 'forward' }), random);
      table.receive(link, encodeCell({ type: 'create', circuit, body: handshakeBody(handshake, random) }));
    };
    for (let i = 0; i < limits.createsBurst + 3; i++) create(i);
    expect(table.circuits).toBe(limits.createsBurst);
    expect(world.sent.filter(({ frame }) => typeOf(frame) === 'destroyed')).toHaveLength(3);
    for (let i = 0; i < limits.circuitsPerLinkMax; i++) {
      world.nowMs += 1000;
      create(100 + i);
    }
    expect(table.circuits).toBe(limits.circuitsPerLinkMax);
  });

  it('of cells that the next link does not take end the circuit at its window', async () => {
    const world = new World(namesOf(2, 1));
    const client = await build(world, { forwarders: 2, stages: 1 });
    client.heard();
    const { table } = world.peer('f0');
    const carry = world.carry.bind(world);
    const forward: (() => void)[] = [];
    world.carry = (link, frame) => {
      if (link.of !== 'f0' || link.to !== 'f1') return carry(link, frame);
      return new Promise((resolve) => forward.push(resolve));
    };
    for (let i = 0; i < limits.windowCells; i++) await client.circuit.sendMessage(step, { padded: false });
    await world.run();
    expect([client.heard(), table.heldCells]).toEqual([[], limits.windowCells]);
    for (let i = 0; i < 17; i++) await client.circuit.sendMessage(step, { padded: false });
    await world.run();
    expect(client.heard()).toEqual(['ended flood 0']);
    for (const took of forward) took();
    await new Promise((resolve) => setImmediate(resolve));
    expect([table.circuits, table.heldCells]).toEqual([0, 0]);
  });

  it('of loops end the circuit', async () => {
    const { world, client } = await whole();
    for (let i = 0; i <= limits.loopsPerSecondMax; i++) client.circuit.loop(1, i);
    await world.run();
    expect(client.heard().at(-1)).toBe('truncated 0 next flood');
  });

  it('a circuit on which nothing passes is torn down', async () => {
    const { world, client } = await whole();
    world.nowMs += limits.idleMsMax + 1;
    for (const { table } of world.peers.values()) table.sweep();
    await world.run();
    expect(client.heard()).toEqual(['ended timeout 0']);
    expect([...world.peers.values()].map(({ table }) => table.circuits)).toEqual([0, 0, 0, 0, 0]);
  });
});

describe('rendezvous', () => {
  it('is joined once, only with its cookie, and only by the peer that it is for', async () => {
    const world = new World(['f0', 's0', 'x0']);
    const early = new WorldClient(world, 'f0', 1);
    early.circuit.extend(world.peer('f0').target, { role: 'forward' });
    await world.run();
    early.circuit.establish(new Uint8Array(16).fill(7), world.peer('s0').peer);
    await world.run();
    expect(world.peer('f0').prepared).toEqual([world.peer('s0').peer]);
    const join = (from: string, cookie: number, circuit: number): CellType => {
      const body = concat(new Uint8Array(16).fill(cookie), new Uint8Array(limits.bodyBytes - 16));
      world.peer('f0').table.receive(world.link(from, 'f0').other, encodeCell({ type: 'join', circuit, body }));
      return typeOf(world.sent[world.sent.length - 1].frame);
    };
    expect(join('x0', 7, 1)).toBe('destroyed');
    expect(join('s0', 8, 2)).toBe('destroyed');
    expect(join('s0', 7, 3)).toBe('joined');
    expect(join('s0', 7, 4)).toBe('destroyed');
  });

  it('that nobody joins is forgotten with its circuit, and one that is replaced at once', async () => {
    const world = new World(['f0', 's0']);
    const client = new WorldClient(world, 'f0', 1);
    client.circuit.extend(world.peer('f0').target, { role: 'forward' });
    await world.run();
    for (const cookie of [7, 8]) {
      client.circuit.establish(new Uint8Array(16).fill(cookie), world.peer('s0').peer);
      await world.run();
      expect(world.peer('f0').table.rendezvous).toBe(1);
    }
    client.circuit.close();
    await world.run();
    expect(world.peer('f0').table.rendezvous).toBe(0);
  });

  it('of a whole circuit is not to be had by a stranger', async () => {
    const { world } = await whole();
    const stranger = world.link('x0', 'f1').other;
    for (const cookie of [5, 6]) {
      const body = concat(new Uint8Array(16).fill(cookie), new Uint8Array(limits.bodyBytes - 16));
      world.peer('f1').table.receive(stranger, encodeCell({ type: 'join', circuit: cookie, body }));
    }
    const answers = world.sent.filter(({ to }) => to === 'x0').map(({ frame }) => typeOf(frame));
    expect(answers).toEqual(['destroyed', 'destroyed']);
  });

  it('of a forwarder that goes: the last stage says so', async () => {
    const { world, client } = await whole();
    world.cut('s1', 'f1');
    await world.run();
    expect(client.heard()).toEqual([
      'truncated 1 rendezvous link-lost',
      'failed 3 neighbour-left',
      'truncated 2 next link-lost',
    ]);
  });
});

describe('links that go', () => {
  it('between hops: the client hears where, what is behind is over, and the stages know it was not closed', async () => {
    const { world, client } = await whole();
    world.cut('f1', 's0');
    await world.run();
    expect(client.heard()).toContain('truncated 1 next link-lost');
    expect([world.peer('s0').closings, world.peer('s1').closings]).toEqual([['link-lost'], ['link-lost']]);
  });

  it('to the guard', async () => {
    const { world, client } = await whole();
    client.circuit.lost();
    world.cut('client', 'f0');
    await world.run();
    expect(client.heard()).toEqual(['ended link-lost 0']);
    expect([...world.peers.values()].map(({ table }) => table.circuits)).toEqual([0, 0, 0, 0, 0]);
  });
});
