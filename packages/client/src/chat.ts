/** A chat: a model's tokenizer and ends at this machine, and its layers at the stages of a route. */
import type { Ends } from '@unfed/engine';
import {
  generate,
  NoRouteError,
  openDirectRoute,
  planRoute,
  PromptTooLongError,
  StageLostError,
  StageRefusedError,
  type GenerationEnd,
  type Hop,
  type Route,
  type StageLinks,
} from '@unfed/inference';
import { createSampler, type ChatTokenizer } from '@unfed/model';
import type { Network } from '@unfed/network';
import { asError, type Manifest, type ManifestHash, type PeerId, type Precision } from '@unfed/protocol';
import { RelayUnreachableError } from './errors.ts';
import * as limits from './limits.ts';
import type { AnswerEvent, AnswerOptions, Chat, ChatMessage } from './peer.ts';

export interface ChatParts {
  readonly hash: ManifestHash;
  readonly manifest: Manifest;
  readonly tokenizer: ChatTokenizer;
  readonly ends: Ends;
  readonly network: Network;
  readonly links: StageLinks;
}

/** A route and the tokens whose positions its stages hold. */
interface Conversation {
  readonly route: Route;
  readonly precision: Precision;
  readonly held: number[];
  idle?: ReturnType<typeof setTimeout>;
}

export interface OpenChat extends Chat {
  close(): void;
}

export function createChat(parts: ChatParts): OpenChat {
  return new DirectChat(parts);
}

class DirectChat implements OpenChat {
  readonly manifest: ManifestHash;
  readonly name: string;
  readonly contextLength: number;
  readonly #parts: ChatParts;
  #conversation: Conversation | undefined;

  constructor(parts: ChatParts) {
    this.#parts = parts;
    this.manifest = parts.hash;
    this.name = parts.manifest.name;
    this.contextLength = parts.manifest.architecture.contextLength;
  }

  promptTokens(messages: readonly ChatMessage[]): number {
    return this.#parts.tokenizer.encodeChat(messages).length;
  }

  async *answer(
    messages: readonly ChatMessage[],
    options: AnswerOptions = {},
  ): AsyncGenerator<AnswerEvent, void, void> {
    const startedMs = performance.now();
    const { tokenizer } = this.#parts;
    const prompt = tokenizer.encodeChat(messages);
    if (prompt.length >= this.contextLength) throw new PromptTooLongError(prompt.length, this.contextLength - 1);
    const tokensMax = Math.min(options.tokensMax ?? limits.answerTokensDefault, this.contextLength - prompt.length);
    let conversation: Conversation | undefined;
    try {
      conversation = yield* this.#conversationFor(prompt.length + tokensMax, options);
    } catch (error) {
      if (options.signal?.aborted !== true) throw error;
      yield {
        kind: 'end',
        reason: 'stopped',
        tokens: 0,
        promptTokens: prompt.length,
        firstTokenMs: 0,
        tokensPerSecond: 0,
        endsMsPerToken: 0,
        routeMsPerToken: 0,
      };
      return;
    }
    yield { kind: 'route', hops: conversation.route.hops };
    yield { kind: 'progress', stage: 'prefill', note: `reading ${prompt.length} tokens` };
    try {
      yield* this.#stream(conversation, { prompt, tokensMax, options, startedMs });
    } finally {
      this.#keep(conversation);
    }
  }

  async *#stream(
    { route, held }: Conversation,
    run: { prompt: readonly number[]; tokensMax: number; options: AnswerOptions; startedMs: number },
  ): AsyncGenerator<AnswerEvent, void, void> {
    const { tokenizer, ends, manifest } = this.#parts;
    const { prompt, tokensMax, options, startedMs } = run;
    const sampler = createSampler(options.sampling ?? {});
    const text = tokenizer.streamDecoder();
    const timing = { steps: 0, endsMs: 0, routeMs: 0 };
    const tokens = generate({
      route,
      ends,
      prompt,
      held,
      width: manifest.architecture.width,
      endTokens: tokenizer.endTokens,
      tokensMax,
      sample: (logits, history) => sampler.next(logits, history),
      signal: options.signal,
      timing,
    });
    let count = 0;
    let firstMs = 0;
    let lastMs = 0;
    let reason: GenerationEnd;
    for (;;) {
      const next = await tokens.next();
      if (next.done === true) {
        reason = next.value;
        break;
      }
      lastMs = performance.now();
      if (count++ === 0) firstMs = lastMs;
      const delta = text.push(next.value);
      if (delta !== '') yield { kind: 'text', delta, tokens: count };
    }
    const rest = text.end();
    if (rest !== '') yield { kind: 'text', delta: rest, tokens: count };
    yield {
      kind: 'end',
      reason,
      tokens: count,
      promptTokens: prompt.length,
      firstTokenMs: count === 0 ? 0 : firstMs - startedMs,
      tokensPerSecond: count > 1 ? ((count - 1) * 1000) / (lastMs - firstMs) : 0,
      endsMsPerToken: timing.endsMs / Math.max(1, timing.steps),
      routeMsPerToken: timing.routeMs / Math.max(1, timing.steps),
    };
  }

  /** The route of the turn before, where it lives and is long enough; else a new one. */
  async *#conversationFor(
    positions: number,
    { signal, precision = 'f32' }: AnswerOptions,
  ): AsyncGenerator<AnswerEvent, Conversation, void> {
    const kept = this.#conversation;
    this.#conversation = undefined;
    clearTimeout(kept?.idle);
    if (kept?.route.alive === true && kept.route.positionsMax >= positions && kept.precision === precision) return kept;
    kept?.route.close();
    yield { kind: 'progress', stage: 'planning', note: 'choosing volunteers' };
    await this.#directoryReady(signal);
    const reserved = Math.ceil((positions + limits.positionsSpare) / limits.positionsStep) * limits.positionsStep;
    const positionsMax = Math.min(reserved, this.contextLength, limits.sessionPositionsMax);
    const without = new Set<PeerId>();
    for (let attempt = 1; ; attempt++) {
      const hops = this.#plan(without);
      yield { kind: 'progress', stage: 'connecting', note: `connecting to ${hops.length} stages` };
      try {
        const route = await this.#open(hops, { positionsMax, precision, signal });
        return { route, precision, held: [] };
      } catch (error) {
        if (!(error instanceof StageLostError || error instanceof StageRefusedError)) throw error;
        without.add(error.peer);
        if (attempt >= limits.routeAttemptsMax || !this.#canPlan(without)) throw error;
      }
    }
  }

  #plan(without: ReadonlySet<PeerId>): Hop[] {
    const { network, hash, manifest } = this.#parts;
    return planRoute({
      announcements: network.directory.announcements(),
      manifest: hash,
      model: manifest.name,
      span: { first: 0, last: manifest.architecture.layers },
      without,
    });
  }

  #canPlan(without: ReadonlySet<PeerId>): boolean {
    try {
      this.#plan(without);
      return true;
    } catch (error) {
      if (error instanceof NoRouteError) return false;
      throw error;
    }
  }

  #open(
    hops: readonly Hop[],
    {
      positionsMax,
      precision,
      signal,
    }: { positionsMax: number; precision: Precision; signal: AbortSignal | undefined },
  ): Promise<Route> {
    const { links, network, hash, manifest } = this.#parts;
    const { width } = manifest.architecture;
    return openDirectRoute({
      links,
      directory: network.directory,
      hops,
      manifest: hash,
      width,
      positionsMax,
      precision,
      signal,
    });
  }

  /** What was announced before the relay was lost still counts, for as long as it is valid. */
  async #directoryReady(signal: AbortSignal | undefined): Promise<void> {
    const { network } = this.#parts;
    const ready = () => network.directory.whole;
    if (ready()) return;
    const timeout = AbortSignal.timeout(limits.directoryWaitMsMax);
    const both = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
    await new Promise<void>((resolve, reject) => {
      const unlisten = network.directory.onChange(() => {
        if (!ready()) return;
        unlisten();
        resolve();
      });
      both.addEventListener('abort', () => {
        unlisten();
        const { relayState } = network;
        const detail = relayState.kind === 'retrying' ? relayState.error : 'no answer yet';
        const unreachable = new RelayUnreachableError(limits.directoryWaitMsMax, detail);
        reject(signal?.aborted === true ? asError(signal.reason) : unreachable);
      });
    });
  }

  #keep(conversation: Conversation): void {
    if (!conversation.route.alive) {
      conversation.route.close();
      return;
    }
    this.#conversation?.route.close();
    clearTimeout(this.#conversation?.idle);
    this.#conversation = conversation;
    conversation.idle = setTimeout(() => {
      conversation.route.close();
      if (this.#conversation === conversation) this.#conversation = undefined;
    }, limits.routeIdleMsMax);
  }

  close(): void {
    clearTimeout(this.#conversation?.idle);
    this.#conversation?.route.close();
    this.#conversation = undefined;
  }
}
