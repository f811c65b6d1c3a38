/** A conversation as the page keeps it: turns of question and answer, what of them fits a prompt, and their stored form. */
import type { AnswerEvent, ChatMessage, RouteHop } from '@unfed/client';
import * as limits from '../limits.ts';

/** How an answer ended, as far as the page shows it. */
export type AnswerEnd = Pick<
  Extract<AnswerEvent, { kind: 'end' }>,
  'reason' | 'tokens' | 'promptTokens' | 'firstTokenMs' | 'tokensPerSecond'
>;

export type TurnState =
  /** Not sent yet; `note` says what it waits for. */
  | { readonly kind: 'queued'; readonly note: string }
  /** The person must agree to a download first. */
  | { readonly kind: 'consent'; readonly model: string; readonly bytes: number | undefined }
  | { readonly kind: 'answering'; readonly note: string; readonly part: number | undefined }
  | { readonly kind: 'done' }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

export interface Turn {
  readonly id: number;
  readonly question: string;
  /** What was written so far; never lost by an error. */
  readonly answer: string;
  readonly state: TurnState;
  readonly hops: readonly RouteHop[];
  /** Tokens given out so far, and the rate since the first. */
  readonly tokens: number;
  readonly tokensPerSecond: number | undefined;
  readonly end: AnswerEnd | undefined;
  /** How many earlier turns the model was not given, because its context is full. */
  readonly forgottenTurns: number;
}

export function newTurn(id: number, question: string): Turn {
  return {
    id,
    question,
    answer: '',
    state: { kind: 'queued', note: '' },
    hops: [],
    tokens: 0,
    tokensPerSecond: undefined,
    end: undefined,
    forgottenTurns: 0,
  };
}

export function isPending(turn: Turn | undefined): boolean {
  return turn !== undefined && ['queued', 'consent', 'answering'].includes(turn.state.kind);
}

/** @returns the messages of earlier turns that were answered, and the new question */
export function messagesOf(turns: readonly Turn[], question: string): ChatMessage[] {
  const answered = turns.filter((turn) => turn.answer !== '');
  const earlier = answered.flatMap<ChatMessage>((turn) => [
    { role: 'user', content: turn.question },
    { role: 'assistant', content: turn.answer },
  ]);
  return [...earlier, { role: 'user', content: question }];
}

export type Fit =
  | { readonly kind: 'fits'; readonly messages: readonly ChatMessage[]; readonly forgottenTurns: number }
  | { readonly kind: 'too-long'; readonly tokens: number; readonly tokensMax: number };

/**
 * Leaves out the oldest turns until the prompt leaves room for an answer; a question alone may take all but one position.
 * @param model counts a prompt's tokens, and says how many positions it has
 */
export function fitMessages(
  earlier: readonly Turn[],
  question: string,
  model: { readonly contextLength: number; promptTokens(messages: readonly ChatMessage[]): number },
): Fit {
  const turns = earlier.filter((turn) => turn.answer !== '');
  const roomMax = model.contextLength - Math.min(limits.answerReserveTokens, Math.floor(model.contextLength / 4));
  for (let forgottenTurns = 0; forgottenTurns < turns.length; forgottenTurns++) {
    const messages = messagesOf(turns.slice(forgottenTurns), question);
    if (model.promptTokens(messages) <= roomMax) return { kind: 'fits', messages, forgottenTurns };
  }
  const messages = messagesOf([], question);
  const tokens = model.promptTokens(messages);
  const tokensMax = model.contextLength - 1;
  if (tokens > tokensMax) return { kind: 'too-long', tokens, tokensMax };
  return { kind: 'fits', messages, forgottenTurns: turns.length };
}

/** @returns JSON of the newest turns that fit the limit; turns that were under way are stored as stopped */
export function serializeConversation(turns: readonly Turn[]): string {
  const stored: string[] = [];
  let chars = 2;
  for (const turn of turns.slice(-limits.conversationTurnsMax).reverse()) {
    const state: TurnState = isPending(turn) ? { kind: 'stopped' } : turn.state;
    const text = JSON.stringify({ ...turn, state });
    chars += text.length + 1;
    if (chars > limits.conversationStoredCharsMax) break;
    stored.unshift(text);
  }
  return `[${stored.join(',')}]`;
}

/** @param text what storage holds, or anything; turns that do not have the shape of one are dropped */
export function parseConversation(text: string | null): Turn[] {
  let value: unknown;
  try {
    value = JSON.parse(text ?? '[]');
  } catch {
    return [];
  }
  if (!Array.isArray(value)) return [];
  return value.slice(-limits.conversationTurnsMax).flatMap((entry, index) => parseTurn(entry, index));
}

function parseTurn(entry: unknown, id: number): Turn[] {
  if (typeof entry !== 'object' || entry === null) return [];
  const stored = entry as Partial<Record<keyof Turn, unknown>>;
  if (typeof stored.question !== 'string' || typeof stored.answer !== 'string') return [];
  const turn = newTurn(id, stored.question);
  return [{ ...turn, answer: stored.answer, state: parseState(stored.state), end: parseEnd(stored.end) }];
}

function parseState(entry: unknown): TurnState {
  const state = (typeof entry === 'object' && entry !== null ? entry : {}) as Record<string, unknown>;
  if (state.kind === 'done') return { kind: 'done' };
  if (state.kind === 'failed' && typeof state.code === 'string' && typeof state.message === 'string') {
    return { kind: 'failed', code: state.code, message: state.message };
  }
  return { kind: 'stopped' };
}

function parseEnd(entry: unknown): AnswerEnd | undefined {
  const end = (typeof entry === 'object' && entry !== null ? entry : {}) as Record<string, unknown>;
  const numbers = [end.tokens, end.promptTokens, end.firstTokenMs, end.tokensPerSecond];
  const [tokens, promptTokens, firstTokenMs, tokensPerSecond] = numbers.map((n) => (typeof n === 'number' ? n : NaN));
  const reason = (['eos', 'length', 'context', 'stopped'] as const).find((known) => known === end.reason);
  if (reason === undefined || ![tokens, promptTokens, firstTokenMs, tokensPerSecond].every(Number.isFinite)) return;
  return { reason, tokens, promptTokens, firstTokenMs, tokensPerSecond };
}
