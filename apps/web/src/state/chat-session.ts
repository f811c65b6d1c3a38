/**
 * The chat: a question waits until the network, the person's consent and the model are there, then its answer streams.
 * One answer at a time. What was written is never lost: an error or a stop leaves it where it stands.
 */
import type { AnswerEvent, Chat, Peer, PoolView } from '@unfed/client';
import { UnfedError, type ManifestHash } from '@unfed/protocol';
import * as limits from '../limits.ts';
import { strings } from '../strings.ts';
import { chosenPool, type Connection, type ConnectionView } from './connection.ts';
import {
  fitMessages,
  isPending,
  newTurn,
  parseConversation,
  serializeConversation,
  type Fit,
  type Turn,
} from './conversation.ts';
import { ObservableValue } from './observable.ts';
import type { SettingsStore } from './settings.ts';
import { writeStored, type TextStorage } from './storage.ts';

export interface ChatView {
  readonly turns: readonly Turn[];
  /** The pool that the person picked; undefined: the first. */
  readonly manifest: ManifestHash | undefined;
  /** Once the model is open: so that a draft can be counted. */
  readonly chat: Chat | undefined;
}

export interface ChatParts {
  readonly connection: Connection;
  readonly settings: SettingsStore;
  readonly storage: TextStorage;
  /** Bytes that asking this model fetches the first time; undefined when nobody can say. */
  readonly bytesToAsk: (manifest: ManifestHash, signal: AbortSignal) => Promise<number | undefined>;
  readonly nowMs: () => number;
}

interface Ready {
  readonly peer: Peer;
  readonly pool: PoolView;
}

const conversationKey = 'unfed.conversation.1';
const consentKey = 'unfed.consent.1';

export class ChatSession extends ObservableValue<ChatView> {
  readonly #parts: ChatParts;
  #running: AbortController | undefined;
  #onConsent: (() => void) | undefined;
  #nextId: number;

  constructor(parts: ChatParts) {
    const turns = parseConversation(parts.storage.getItem(conversationKey));
    super({ turns, manifest: undefined, chat: undefined });
    this.#parts = parts;
    this.#nextId = (turns.at(-1)?.id ?? -1) + 1;
  }

  /** Takes the question at once and sends it as soon as it can be sent. @returns false while another is answered */
  send(question: string): boolean {
    const text = question.trim().slice(0, limits.questionCharsMax);
    if (text === '' || isPending(this.view.turns.at(-1))) return false;
    const turns = [...this.view.turns, newTurn(this.#nextId++, text)].slice(-limits.conversationTurnsMax);
    this.set({ ...this.view, turns });
    void this.#run();
    return true;
  }

  /** Asks the last question again. */
  retry(): void {
    const last = this.view.turns.at(-1);
    if (last === undefined || isPending(last)) return;
    this.set({ ...this.view, turns: this.view.turns.slice(0, -1) });
    this.send(last.question);
  }

  /** Ends the answer; what was written stays. */
  stop(): void {
    this.#running?.abort();
  }

  /** The person agrees to the download that the last turn asks for; remembered for that model. */
  consent(): void {
    this.#onConsent?.();
  }

  pick(manifest: ManifestHash): void {
    if (manifest === chosenPool(this.#parts.connection.view, this.view.manifest)?.manifest) return;
    this.set({ ...this.view, manifest, chat: undefined });
  }

  startNew(): void {
    this.stop();
    // Nothing that could tell two conversations to be one person's goes on into the next.
    this.view.chat?.renew();
    this.set({ ...this.view, turns: [] });
    this.store();
  }

  /** Would this question fit? Undefined while the model is not open. */
  fit(question: string): Fit | undefined {
    const { chat, turns } = this.view;
    return chat === undefined ? undefined : fitMessages(turns, question, chat);
  }

  store(): void {
    writeStored(this.#parts.storage, conversationKey, serializeConversation(this.view.turns));
  }

  #change(id: number, part: Partial<Turn>): void {
    const turns = this.view.turns.map((turn) => (turn.id === id ? { ...turn, ...part } : turn));
    this.set({ ...this.view, turns });
  }

  async #run(): Promise<void> {
    const turn = this.view.turns.at(-1);
    if (turn === undefined) return;
    const controller = new AbortController();
    this.#running = controller;
    try {
      await this.#ask(turn, controller.signal);
    } catch (error) {
      if (controller.signal.aborted) this.#change(turn.id, { state: { kind: 'stopped' } });
      else this.#change(turn.id, { state: failed(error) });
    } finally {
      if (this.#running === controller) this.#running = undefined;
      this.store();
    }
  }

  async #ask(turn: Turn, signal: AbortSignal): Promise<void> {
    const ready = await this.#ready(turn.id, signal);
    await this.#agreed(turn.id, ready.pool, signal);
    const chat = await this.#open(turn.id, ready, signal);
    const earlier = this.view.turns.filter((other) => other.id !== turn.id);
    const fit = fitMessages(earlier, turn.question, chat);
    if (fit.kind === 'too-long') {
      const message = strings.chat.tooLong(fit.tokens, fit.tokensMax);
      this.#change(turn.id, { state: { kind: 'failed', code: 'prompt-too-long', message } });
      return;
    }
    const { answerTokens, temperature, seed } = this.#parts.settings.view;
    this.#change(turn.id, {
      forgottenTurns: fit.forgottenTurns,
      state: { kind: 'answering', note: strings.chat.progress.planning, part: undefined },
    });
    const sampling = { temperature, ...(seed === undefined ? {} : { seed }) };
    let firstTokenAtMs = 0;
    for await (const event of chat.answer(fit.messages, { signal, sampling, tokensMax: answerTokens })) {
      if (event.kind === 'text' && firstTokenAtMs === 0) firstTokenAtMs = this.#parts.nowMs();
      this.#apply(turn.id, event, firstTokenAtMs);
    }
    signal.throwIfAborted();
  }

  #apply(id: number, event: AnswerEvent, firstTokenAtMs: number): void {
    const turn = this.view.turns.find((other) => other.id === id);
    if (turn === undefined) return;
    switch (event.kind) {
      case 'progress': {
        const note = strings.chat.progress[event.stage];
        return this.#change(id, { state: { kind: 'answering', note, part: undefined } });
      }
      case 'route':
        return this.#change(id, { hops: event.hops });
      case 'text': {
        const { tokens } = event;
        const seconds = (this.#parts.nowMs() - firstTokenAtMs) / 1000;
        const tokensPerSecond = tokens > 1 && seconds > 0 ? (tokens - 1) / seconds : undefined;
        const state = { kind: 'answering', note: '', part: undefined } as const;
        return this.#change(id, { answer: turn.answer + event.delta, tokens, tokensPerSecond, state });
      }
      case 'end': {
        const { reason, tokens, promptTokens, firstTokenMs, tokensPerSecond } = event;
        return this.#change(id, {
          end: { reason, tokens, promptTokens, firstTokenMs, tokensPerSecond },
          tokens,
          tokensPerSecond,
          state: { kind: reason === 'stopped' ? 'stopped' : 'done' },
        });
      }
    }
  }

  /** Waits for a peer and a pool; the turn says what it waits for. */
  async #ready(id: number, signal: AbortSignal): Promise<Ready> {
    const { connection } = this.#parts;
    const say = () => this.#change(id, { state: { kind: 'queued', note: waitingFor(connection.view) } });
    say();
    const stopSaying = connection.onChange(say);
    try {
      const ready = await connection.until((view) => this.#readyIn(view), signal);
      if (typeof ready === 'string') throw new Error(ready);
      if (ready.pool.stages.length > 0) return ready;
      // Just connected, the directory may still be on its way; after that, it is the route's to say who is missing.
      const patience = AbortSignal.any([signal, AbortSignal.timeout(limits.directoryGraceMs)]);
      const served = ({ network }: ConnectionView) =>
        network?.pools.find((pool) => pool.manifest === ready.pool.manifest && pool.stages.length > 0);
      const pool = await connection.until(served, patience).catch(() => ready.pool);
      signal.throwIfAborted();
      return { ...ready, pool };
    } finally {
      stopSaying();
    }
  }

  /** @returns undefined while there is nothing to do but wait; a text where waiting is in vain */
  #readyIn(view: ConnectionView): Ready | string | undefined {
    if (view.failure !== undefined) return view.failure;
    const pool = chosenPool(view, this.view.manifest);
    if (view.peer === undefined || pool === undefined) return undefined;
    // Without the relay, only volunteers that are known already can be asked.
    if (pool.stages.length === 0 && view.relay.kind !== 'connected') return undefined;
    return { peer: view.peer, pool };
  }

  async #agreed(id: number, pool: PoolView, signal: AbortSignal): Promise<void> {
    const { storage } = this.#parts;
    const agreed = (storage.getItem(consentKey) ?? '').split(' ');
    if (agreed.includes(pool.manifest)) return;
    this.#change(id, { state: { kind: 'queued', note: strings.chat.waiting.size } });
    const bytes = await this.#parts.bytesToAsk(pool.manifest, signal);
    this.#change(id, { state: { kind: 'consent', model: pool.name, bytes } });
    await orAborted(
      new Promise<void>((resolve) => {
        this.#onConsent = resolve;
      }),
      signal,
    );
    this.#onConsent = undefined;
    writeStored(storage, consentKey, [...agreed, pool.manifest].slice(-limits.consentsMax).join(' ').trim());
  }

  async #open(id: number, { peer, pool }: Ready, signal: AbortSignal): Promise<Chat> {
    const { chat } = this.view;
    if (chat?.manifest === pool.manifest) return chat;
    const onProgress = (_note: string, part: number) => {
      const state = { kind: 'answering', note: strings.chat.progress.model, part } as const;
      if (!signal.aborted) this.#change(id, { state });
    };
    onProgress('', 0);
    const opened = await orAborted(peer.openChat(pool.manifest, onProgress), signal);
    this.set({ ...this.view, chat: opened });
    return opened;
  }
}

function waitingFor({ relay }: ConnectionView): string {
  if (relay.kind === 'retrying') return strings.chat.waiting.relayAgain;
  return relay.kind === 'connecting' ? strings.chat.waiting.relay : strings.chat.waiting.pool;
}

function failed(error: unknown): Turn['state'] {
  const message = error instanceof Error ? error.message : String(error);
  return { kind: 'failed', code: error instanceof UnfedError ? error.code : 'unknown', message };
}

/** Work that cannot be ended goes on, but nobody waits for it. @throws the signal's reason */
function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
