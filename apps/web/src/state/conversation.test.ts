import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as limits from '../limits.ts';
import {
  fitMessages,
  messagesOf,
  newTurn,
  parseConversation,
  serializeConversation,
  type Turn,
} from './conversation.ts';

const answered = (id: number, question: string, answer: string): Turn => ({
  ...newTurn(id, question),
  answer,
  state: { kind: 'done' },
});

/** One token a word. */
const model = (contextLength: number) => ({
  contextLength,
  promptTokens: (messages: readonly { content: string }[]) =>
    messages.reduce((sum, message) => sum + message.content.split(' ').length, 0),
});

describe('messagesOf', () => {
  it('leaves out turns without an answer', () => {
    const turns = [answered(0, 'a', 'b'), newTurn(1, 'lost')];
    expect(messagesOf(turns, 'c').map((message) => message.content)).toEqual(['a', 'b', 'c']);
  });
});

describe('fitMessages', () => {
  const turns = [answered(0, 'one two', 'three four'), answered(1, 'five', 'six')];

  it('keeps every turn where there is room', () => {
    expect(fitMessages(turns, 'seven', model(100))).toMatchObject({ kind: 'fits', forgottenTurns: 0 });
  });

  it('leaves out the oldest turns first, and counts them', () => {
    const fit = fitMessages(turns, 'seven', model(5));
    expect(fit).toMatchObject({ kind: 'fits', forgottenTurns: 1 });
    expect(fit.kind === 'fits' && fit.messages.map((message) => message.content)).toEqual(['five', 'six', 'seven']);
  });

  it('says when the question alone is too long', () => {
    const fit = fitMessages(turns, 'a b c d e', model(5));
    expect(fit).toEqual({ kind: 'too-long', tokens: 5, tokensMax: 4 });
  });

  it('never gives a prompt that leaves no position for an answer', () => {
    const words = fc.array(fc.constant('w'), { minLength: 1, maxLength: 12 }).map((list) => list.join(' '));
    const earlier = fc.array(fc.tuple(words, words), { maxLength: 6 });
    fc.assert(
      fc.property(earlier, words, fc.integer({ min: 2, max: 60 }), (pairs, question, contextLength) => {
        const counted = model(contextLength);
        const fit = fitMessages(
          pairs.map(([asked, answer], id) => answered(id, asked, answer)),
          question,
          counted,
        );
        if (fit.kind === 'fits') expect(counted.promptTokens(fit.messages)).toBeLessThan(contextLength);
        else expect(counted.promptTokens([{ content: question }])).toBeGreaterThanOrEqual(contextLength);
      }),
    );
  });
});

describe('the stored conversation', () => {
  it('comes back with its answers and how they ended', () => {
    const end = {
      reason: 'eos',
      tokens: 3,
      promptTokens: 9,
      firstTokenMs: 5,
      tokensPerSecond: 7,
    } as const;
    const failed: Turn = { ...newTurn(1, 'q'), answer: 'par', state: { kind: 'failed', code: 'x', message: 'm' } };
    const turns = [{ ...answered(0, 'a', 'b'), end }, failed];
    const back = parseConversation(serializeConversation(turns));
    expect(back.map(({ question, answer, state }) => ({ question, answer, state }))).toEqual(
      turns.map(({ question, answer, state }) => ({ question, answer, state })),
    );
    expect(back[0].end).toEqual(end);
  });

  it('brings back a turn that was under way as stopped', () => {
    const turn: Turn = { ...newTurn(0, 'q'), answer: 'half', state: { kind: 'answering', note: '', part: undefined } };
    expect(parseConversation(serializeConversation([turn]))).toMatchObject([
      { answer: 'half', state: { kind: 'stopped' } },
    ]);
  });

  it('stays under its limit by dropping the oldest turns', () => {
    const long = 'x'.repeat(limits.conversationStoredCharsMax / 3);
    const text = serializeConversation([answered(0, 'old', long), answered(1, 'mid', long), answered(2, 'new', long)]);
    expect(text.length).toBeLessThanOrEqual(limits.conversationStoredCharsMax);
    expect(parseConversation(text).map((turn) => turn.question)).toEqual(['mid', 'new']);
  });

  it('takes any text for a stored one', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        for (const turn of parseConversation(text)) expect(typeof turn.answer).toBe('string');
      }),
    );
    expect(parseConversation(null)).toEqual([]);
    expect(parseConversation('[{"question":1},null,"x"]')).toEqual([]);
  });
});
