import type { PeerId } from '@unfed/protocol';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { NoPathError } from './circuit-path.ts';
import { assistant, DemoChats, textOf, user, type ChatOver, type Cut } from './demo-chats.suite.ts';
import type { AnswerEvent } from './peer.ts';

let chats: DemoChats;
beforeAll(async () => {
  chats = await DemoChats.load();
}, 120_000);
afterEach(() => chats.closeAll());
afterAll(() => chats.dispose());

const halves: Cut = [
  [0, 4],
  [4, 8],
];
const question = user('What is 7 plus 5?');

/** The nodes with which this chat asked so far: one is made ahead each time. */
function askedAs({ asking }: ChatOver) {
  return [...(asking?.linked ?? [])].flatMap(([peer, linked]) => (linked.size > 0 ? [{ peer, linked }] : []));
}

describe('a chat by circuits', () => {
  it.each([0, 1, 2] as const)(
    'answers through %i forwarders behind the guard, and no stage is linked to who asks',
    async (forwarders) => {
      const opened = await chats.over(halves, { forwarders });
      const hops: AnswerEvent[] = [];
      const { text } = await textOf(opened.chat.answer([question]), (event) => {
        if (event.kind === 'route') hops.push(event);
      });
      expect(text).toBe('7 plus 5 is 12.');
      expect(hops).toMatchObject([{ hops: opened.pool.stages.map(({ identity }) => ({ peer: identity.peer })) }]);
      const [guard] = opened.asking?.guards.guards ?? [];
      for (const { linked } of askedAs(opened)) expect([...linked]).toEqual([guard?.peer]);
      expect(opened.asking?.made).not.toContain(opened.pool.client.identity.peer);
    },
  );

  it('keeps circuit and identity from turn to turn, and takes others when it is renewed', async () => {
    const opened = await chats.over(halves, { forwarders: 1 });
    const { chat, pool, asking } = opened;
    const first = await textOf(chat.answer([question]));
    const isHere = (): boolean => asking?.here.has(identity) === true;
    const [identity] = asking?.made as [PeerId];
    const served = pool.stages[0]?.service.positionsServed ?? 0;
    const turns = [question, assistant(first.text), user('And 9 times 6?')];
    expect((await textOf(chat.answer(turns))).text).toBe('9 times 6 is 54.');
    expect((pool.stages[0]?.service.positionsServed ?? 0) - served).toBeLessThan(chat.promptTokens(turns));
    expect(isHere()).toBe(true);
    chat.renew();
    await vi.waitUntil(() => !isHere());
    await vi.waitUntil(() => pool.stages.every(({ service }) => service.sessions === 0));
    expect((await textOf(chat.answer([question]))).text).toBe('7 plus 5 is 12.');
    expect(isHere()).toBe(false);
  });

  it('renewed while it answers, the answer goes on, and its identity ends with it', async () => {
    const { chat, asking } = await chats.over(halves, { forwarders: 1 });
    let identity: PeerId | undefined;
    const { text } = await textOf(chat.answer([question]), ({ kind }) => {
      if (kind !== 'text' || identity !== undefined) return;
      identity = asking?.made[0];
      chat.renew();
    });
    expect(text).toBe('7 plus 5 is 12.');
    await vi.waitUntil(() => identity !== undefined && asking?.here.has(identity) === false);
  });

  it('goes another way around a forwarder that is gone before anything was shown', async () => {
    const opened = await chats.over(halves, { forwarders: 1, guards: 4 });
    const { chat, pool, asking } = opened;
    let gone = false;
    const answer = textOf(chat.answer([question]), (event) => {
      // Every forwarder that is not the guard of this person leaves but one, as the circuit is about to be built.
      if (gone || event.kind !== 'progress' || event.stage !== 'connecting') return;
      gone = true;
      const guard = asking?.guards.guards[0]?.peer;
      const others = pool.forwarders.filter(({ identity }) => identity.peer !== guard);
      for (const { identity } of others.slice(0, 2)) pool.network.leave(identity.peer);
    });
    expect((await answer).text).toBe('7 plus 5 is 12.');
  });

  it('says what is missing where no circuit can be built', async () => {
    const { chat } = await chats.over(halves, { forwarders: 2, guards: 0 });
    await expect(textOf(chat.answer([question]))).rejects.toThrow(NoPathError);
  });
});
