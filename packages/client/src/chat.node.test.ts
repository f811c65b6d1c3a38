import type { SpanRunner } from '@unfed/engine/node';
import { NoRouteError, PromptTooLongError, StageLostError } from '@unfed/inference';
import type { MemoryPool } from '@unfed/inference/suites';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { assistant, DemoChats, textOf, user, type ChatOver, type Cut } from './demo-chats.suite.ts';
import * as limits from './limits.ts';
import type { AnswerEvent } from './peer.ts';

let chats: DemoChats;
beforeAll(async () => {
  chats = await DemoChats.load();
}, 120_000);
afterEach(async () => {
  vi.restoreAllMocks();
  await chats.closeAll();
});
afterAll(() => chats.dispose());

const chatOver = (spans: Cut, delayMs = 0) => chats.over(spans, { delayMs });

describe('chat', () => {
  it('a second turn sends only what the stages do not hold', async () => {
    const { chat, pool } = await chatOver([
      [0, 4],
      [4, 8],
    ]);
    const first = await textOf(chat.answer([user('What is 7 plus 5?')]));
    const held = pool.stages[0].service.positionsServed;
    const turns = [user('What is 7 plus 5?'), assistant(first.text), user('And 9 times 6?')];
    expect((await textOf(chat.answer(turns))).text).toBe('9 times 6 is 54.');
    // Less than the whole prompt again, and the answer.
    expect(pool.stages[0].service.positionsServed - held).toBeLessThan(chat.promptTokens(turns));
    expect(pool.stages[0].service.sessions).toBe(1);
  });

  it('closed while it answers, it keeps no session at the stages', async () => {
    const { chat, pool } = await chatOver([[0, 8]]);
    const [{ service }] = pool.stages;
    let tokens = 0;
    await textOf(chat.answer([user('What is the capital of France?')]), ({ kind }) => {
      if (kind === 'text' && ++tokens === 3) chat.close();
    });
    await vi.waitUntil(() => service.sessions === 0);
  });

  it('own layers: turn after turn only what is new is computed, here and there, and no cache outlives the chat', async () => {
    const ownLayers = { first: 1, last: 2 };
    const { chat, pool, own } = await chats.over([[1, 6]], { ownLayers });
    const first = await textOf(chat.answer([user('What is 7 plus 5?')]));
    expect(first.text).toBe('7 plus 5 is 12.');
    const positions = async () => {
      const here = await Promise.all(
        [own.first, own.last].map(async (runner) => (await runner?.report())?.positionsServed),
      );
      return [...here, pool.stages[0].service.positionsServed];
    };
    const [held] = await positions();
    expect(await positions()).toEqual([held, held, held]);
    const turns = [user('What is 7 plus 5?'), assistant(first.text), user('And 9 times 6?')];
    expect((await textOf(chat.answer(turns))).text).toBe('9 times 6 is 54.');
    const [after] = await positions();
    expect(await positions()).toEqual([after, after, after]);
    expect(Number(after) - Number(held)).toBeLessThan(chat.promptTokens(turns));
    chat.close();
    await vi.waitUntil(async () => (await sessionsHere(own)) === 0, { timeout: 30_000 });
  });

  it('own layers: their cache is given back when a stage leaves mid-answer', async () => {
    const { chat, pool, own } = await chats.over([[1, 8]], { ownLayers: { first: 1, last: 0 }, delayMs: 1 });
    let tokens = 0;
    const answer = textOf(chat.answer([user('Tell me a story about a fox.')]), ({ kind }) => {
      if (kind === 'text' && ++tokens === 3) pool.network.leave(pool.stages[0].identity.peer);
    });
    await expect(answer).rejects.toThrow(StageLostError);
    await vi.waitUntil(async () => (await sessionsHere(own)) === 0, { timeout: 30_000 });
  });

  it('own layers: where stages hold them too, the error says so before anything is sent', async () => {
    const { chat } = await chats.over([[0, 8]], { ownLayers: { first: 1, last: 0 } });
    await expect(textOf(chat.answer([user('Hello!')]))).rejects.toThrow(
      /^nobody serves layers 1–7 of demo without layers that this client runs itself/,
    );
  });

  it('a session that a stage gave up between turns is opened again, unseen', async () => {
    const { chat, runners, pool } = await chatOver([
      [0, 4],
      [4, 8],
    ]);
    const first = await textOf(chat.answer([user('What is the capital of Italy?')]));
    const session = await sessionOf(runners[1], pool);
    await runners[1].close(session);
    const turns = [user('What is the capital of Italy?'), assistant(first.text), user('And Spain?')];
    expect((await textOf(chat.answer(turns))).text).toBe('The capital of Spain is Madrid.');
  });

  it('P4: a stage that is announced and gone is passed over where another serves the same layers', async () => {
    const { chat, pool } = await chatOver([
      [0, 4],
      [4, 8],
      [4, 8],
    ]);
    // Its announcement stays: a ghost.
    for (const peer of [pool.client.identity.peer, pool.stages[0].identity.peer]) {
      pool.network.cut(peer, pool.stages[1].identity.peer);
    }
    for (let turn = 0; turn < 4; turn++) {
      chat.close();
      const { text } = await textOf(chat.answer([user('What is the capital of France?')]));
      expect(text).toBe('The capital of France is Paris.');
    }
  });

  it('P3: stages that failed one answer are tried last by the next ones', async () => {
    const ghosts = 2 * limits.routeAttemptsMax - 1;
    const { chat, pool } = await chatOver(Array.from({ length: ghosts + 1 }, () => [0, 8]));
    for (const { identity } of pool.stages.slice(0, ghosts)) pool.network.cut(pool.client.identity.peer, identity.peer);
    // Of equals, the first is drawn: the ghosts.
    vi.spyOn(Math, 'random').mockReturnValue(0);
    const tries: number[] = [];
    for (let answer = 0; answer < 4; answer++) {
      chat.close();
      tries.push(0);
      const count = (event: AnswerEvent) => {
        if (event.kind === 'progress' && event.stage === 'connecting') tries[answer]++;
      };
      const text = textOf(chat.answer([user('What is the capital of France?')]), count).then((end) => end.text);
      if (answer === 0) await expect(text).rejects.toThrow(StageLostError);
      else expect(await text).toBe('The capital of France is Paris.');
    }
    expect(tries).toEqual([limits.routeAttemptsMax, limits.routeAttemptsMax, 1, 1]);
  });

  it('a stage that leaves mid-answer ends it with an error that names it; what was given out was right', async () => {
    const { chat, pool } = await chatOver(
      [
        [0, 4],
        [4, 8],
      ],
      1,
    );
    let text = '';
    let tokens = 0;
    const run = (async () => {
      for await (const event of chat.answer([user('Tell me a story about a fox.')])) {
        if (event.kind === 'text') text += event.delta;
        if (event.kind === 'text' && ++tokens === 10) pool.network.leave(pool.stages[1].identity.peer);
      }
    })();
    await expect(run).rejects.toThrow(StageLostError);
    expect('One day, Emma went to the library. Emma lost a little drum'.startsWith(text.slice(0, 40))).toBe(true);
    const directory = pool.network.directory(pool.client.identity.peer);
    while (directory.announcements().length > 1) await new Promise((resolve) => setTimeout(resolve));
    await expect(textOf(chat.answer([user('Hello!')]))).rejects.toThrow(NoRouteError);
  });

  it('stop ends at once with what was given out, and the next question is answered', async () => {
    const { chat } = await chatOver([[0, 8]], 1);
    const abort = new AbortController();
    let tokens = 0;
    const signal = abort.signal;
    const stopped = await textOf(chat.answer([user('Tell me a story about a fox.')], { signal }), ({ kind }) => {
      if (kind === 'text' && ++tokens === 5) abort.abort();
    });
    expect(stopped.end).toMatchObject({ kind: 'end', reason: 'stopped', tokens: 5 });
    const { text } = await textOf(chat.answer([user('What is the capital of France?')]));
    expect(text).toBe('The capital of France is Paris.');
  });

  it('ends by length at the caller’s limit, and by context where the model’s is full', async () => {
    const { chat } = await chatOver([[0, 8]]);
    const short = await textOf(chat.answer([user('Tell me a story about a fox.')], { tokensMax: 7 }));
    expect(short.end).toMatchObject({ reason: 'length', tokens: 7 });
    const turns = [];
    while (chat.promptTokens([...turns, user('Tell me a story about a fox.')]) < 350) {
      turns.push(user('Hello!'), assistant('Hello! How can I help you today?'));
    }
    const full = await textOf(chat.answer([...turns, user('Tell me a story about a fox.')]));
    expect(full.end).toMatchObject({ reason: 'context' });
    if (full.end?.kind === 'end') expect(full.end.promptTokens + full.end.tokens).toBe(384);
  });

  it('a prompt longer than the context is refused before anything is sent', async () => {
    const { chat, pool } = await chatOver([[0, 8]]);
    const long = chat.answer([user('river '.repeat(400))]);
    await expect(textOf(long)).rejects.toThrow(PromptTooLongError);
    expect(pool.stages[0].service.sessions).toBe(0);
  });
});

/** Sessions that own layers hold. */
async function sessionsHere({ first, last }: ChatOver['own']): Promise<number> {
  const reports = await Promise.all([first?.report(), last?.report()]);
  return reports.reduce((sum, report) => sum + (report?.sessions ?? 0), 0);
}

/** The one session that the stage of this runner holds: its service asks the runner to close it when it ends. */
async function sessionOf(runner: SpanRunner, pool: MemoryPool) {
  const stage = pool.stages.find((candidate) => candidate.runner === runner);
  const [session] = stage?.service.sessionIds ?? [];
  if (session === undefined) throw new Error('expected one session, came none');
  return session;
}
