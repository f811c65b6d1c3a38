import { circuitProtocol } from '@unfed/circuit';
import { NoRouteError } from '@unfed/inference';
import {
  identityFromSeed,
  LinkError,
  manifestHash,
  type Announcement,
  type Identity,
  type PeerId,
} from '@unfed/protocol';
import { createMemoryNetwork, type MemoryNetwork } from '@unfed/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AskingConversation, CircuitNeed } from './asker.ts';
import * as limits from './limits.ts';
import { memoryAsking, type MemoryAsking } from './memory-asking.suite.ts';
import { RebuildLimitError } from './rebuild-limit.ts';

const manifest = manifestHash('ab'.repeat(32));
const need: CircuitNeed = { manifest, model: 'demo', span: { first: 0, last: 4 } };
const identity = (number: number): Identity => identityFromSeed(new Uint8Array(32).fill(number + 1));
/** The stage, and those that forward. */
const stage = identity(0);
const forwarders = [1, 2, 3, 4].map(identity);
const self = identity(90);
const relay = identity(91);

let memory: MemoryNetwork;
let asking: MemoryAsking;
let conversations: AskingConversation[];
let relayIsThere: boolean;

beforeEach(() => {
  memory = createMemoryNetwork({ seed: 1 });
  conversations = [];
  relayIsThere = true;
  for (const each of [stage, ...forwarders]) memory.peer(each).accept(circuitProtocol, () => undefined);
  const announcements = [...forwarders.map(({ peer }) => announcement(peer, false)), announcement(stage.peer, true)];
  asking = memoryAsking(memory, {
    directory: { announcements: () => announcements },
    self: self.peer,
    relay: relay.peer,
    relayIsThere: () => relayIsThere,
  });
});

afterEach(async () => {
  for (const each of conversations) await each.stop();
  asking.stop();
  memory.stop();
});

function announcement(peer: PeerId, serves: boolean): Announcement {
  const offer = { manifest, span: { first: 0, last: 4 }, stepsPerSecond: 10, queueLength: 0, backend: 'wasm' as const };
  const times = { issuedAtMs: 0, expiresAtMs: 60_000 };
  const rest = { hopKeys: [new Uint8Array(32)], operator: null, addresses: [], seeds: [] };
  return { peer, ...times, stage: serves ? offer : null, ...rest };
}

function conversation(): AskingConversation {
  const made = asking.asker.conversation();
  conversations.push(made);
  return made;
}

const isForwarder = (peer: PeerId): boolean => forwarders.some((each) => each.peer === peer);

describe('a conversation that asks', () => {
  it('gets a path through the first guard and a node linked to it, the same for every circuit', async () => {
    const one = conversation();
    const first = await one.next(need);
    expect(first.path.guard).toBe(asking.guards.guards[0]?.peer);
    expect(first.node.guard).toBe(first.path.guard);
    expect(first.path.stages.map(({ peer }) => peer)).toEqual([stage.peer]);
    first.built();
    // The next conversation's is made ahead by now.
    expect(asking.made).toHaveLength(2);
    const second = await one.next(need);
    expect(second.node).toBe(first.node);
    const other = await conversation().next(need);
    expect(other.path.guard).toBe(first.path.guard);
    expect(other.node.self).not.toBe(first.node.self);
  });

  it('goes on through the second guard where the first cannot be reached, and remembers it', async () => {
    const one = await conversation().next(need);
    const [first, second] = asking.guards.guards.map(({ peer }) => peer) as [PeerId, PeerId];
    expect(one.path.guard).toBe(first);
    memory.leave(first);
    expect((await conversation().next(need)).path.guard).toBe(second);
    expect(asking.guards.guards[0]?.restsUntilMs).toBeGreaterThan(0);
  });

  it('holds nothing against a guard while the relay is away', async () => {
    relayIsThere = false;
    asking.asker.prepare();
    for (const each of forwarders) memory.leave(each.peer);
    memory.leave(stage.peer);
    await expect(conversation().next(need)).rejects.toBeInstanceOf(LinkError);
    expect(asking.guards.guards.map(({ restsUntilMs }) => restsUntilMs)).toEqual([0, 0, 0]);
  });

  it('ends with an error when no guard can be reached', async () => {
    for (const each of [stage, ...forwarders]) memory.leave(each.peer);
    await expect(conversation().next(need)).rejects.toBeInstanceOf(LinkError);
    expect(asking.guards.guards.every(({ restsUntilMs }) => restsUntilMs > 0)).toBe(true);
    expect(asking.here.size).toBe(0);
  });

  it('takes another guard after circuits through the first failed, with a node of its own', async () => {
    const one = conversation();
    const first = await one.next(need);
    first.failed();
    for (let i = 1; i < limits.guardStrikesBorne; i++) (await one.next(need)).failed();
    const other = await one.next(need);
    expect(other.path.guard).not.toBe(first.path.guard);
    expect(other.node.self).not.toBe(first.node.self);
    expect(asking.here.has(first.node.self)).toBe(false);
  });

  it('may build only so many circuits', async () => {
    const one = conversation();
    for (let i = 0; i < limits.rebuildsBurst; i++) await one.next(need);
    await expect(one.next(need)).rejects.toBeInstanceOf(RebuildLimitError);
    // Another conversation is not concerned.
    expect(isForwarder((await conversation().next(need)).path.guard)).toBe(true);
  });

  it('leaves nothing running when it stops, also while its next circuit is being chosen', async () => {
    const one = conversation();
    const { node } = await one.next(need);
    await one.stop();
    expect(asking.here.has(node.self)).toBe(false);
    const late = conversation();
    const next = late.next(need);
    await late.stop();
    await expect(next).rejects.toMatchObject({ code: 'link-closed' });
    expect(asking.guards.guards.map(({ restsUntilMs }) => restsUntilMs)).toEqual([0, 0, 0]);
    // One is made ahead for the next conversation, and no other is there.
    expect(asking.here.size).toBeLessThanOrEqual(1);
    await expect(conversation().next({ ...need, span: { first: 0, last: 5 } })).rejects.toBeInstanceOf(NoRouteError);
  });
});
