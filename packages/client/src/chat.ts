/** A chat: a model's tokenizer and ends at this machine, and its layers at the stages of a route. */
import type { Ends } from '@unfed/engine';
import {
  generate,
  PromptTooLongError,
  StepTimeoutError,
  type DecodeTiming,
  type GenerationEnd,
} from '@unfed/inference';
import { createSampler, type ChatTokenizer } from '@unfed/model';
import type { ManifestHash, PeerId } from '@unfed/protocol';
import { ConversationRoutes, isRouteFailure, type Conversation, type RouteParts } from './conversation-routes.ts';
import * as limits from './limits.ts';
import type { AnswerEvent, AnswerOptions, Chat, ChatMessage } from './peer.ts';

export interface ChatParts extends RouteParts {
  readonly tokenizer: ChatTokenizer;
  readonly ends: Ends;
}

export interface OpenChat extends Chat {
  close(): void;
}

export function createChat(parts: ChatParts): OpenChat {
  return new RoutedChat(parts);
}

/** One answer under way. */
interface Run {
  readonly prompt: readonly number[];
  readonly tokensMax: number;
  readonly options: AnswerOptions;
  readonly startedMs: number;
  /** Tokens given out. */
  tokens: number;
  firstMs: number;
  lastMs: number;
  readonly timing: DecodeTiming;
}

class RoutedChat implements OpenChat {
  readonly manifest: ManifestHash;
  readonly name: string;
  readonly contextLength: number;
  readonly #parts: ChatParts;
  readonly #routes: ConversationRoutes;

  constructor(parts: ChatParts) {
    this.#parts = parts;
    this.manifest = parts.hash;
    this.name = parts.manifest.name;
    this.contextLength = Math.min(parts.manifest.architecture.contextLength, limits.sessionPositionsMax);
    this.#routes = new ConversationRoutes(parts, this.contextLength);
  }

  promptTokens(messages: readonly ChatMessage[]): number {
    return this.#parts.tokenizer.encodeChat(messages).length;
  }

  async *answer(
    messages: readonly ChatMessage[],
    options: AnswerOptions = {},
  ): AsyncGenerator<AnswerEvent, void, void> {
    const startedMs = performance.now();
    const prompt = this.#parts.tokenizer.encodeChat(messages);
    if (prompt.length >= this.contextLength) throw new PromptTooLongError(prompt.length, this.contextLength - 1);
    const tokensMax = options.tokensMax ?? limits.answerTokensDefault;
    const timing = { steps: 0, endsMs: 0, routeMs: 0 };
    const run: Run = { prompt, tokensMax, options, startedMs, tokens: 0, firstMs: 0, lastMs: 0, timing };
    try {
      const reason = yield* this.#answer(run);
      yield endOf(run, reason);
    } catch (error) {
      if (options.signal?.aborted !== true) throw error;
      yield endOf(run, 'stopped');
    }
  }

  /** Tries other stages as long as nothing was given out; after that a failure is the caller's to show. */
  async *#answer(run: Run): AsyncGenerator<AnswerEvent, GenerationEnd, void> {
    const { signal, precision = 'f32' } = run.options;
    const without = new Set<PeerId>();
    const positions = Math.min(run.prompt.length + run.tokensMax, this.contextLength);
    for (let attempt = 1; ; attempt++) {
      const conversation = yield* this.#routes.take({ positions, precision, without, signal });
      try {
        yield { kind: 'route', hops: conversation.route.hops };
        yield { kind: 'progress', stage: 'prefill', note: `reading ${run.prompt.length} tokens` };
        return yield* this.#stream(conversation, run);
      } catch (error) {
        if (!isRouteFailure(error)) throw error;
        // A stage that gave up an idle session since the last turn did nothing wrong: it may serve the next route.
        const gaveUpIdle = !(error instanceof StepTimeoutError) && conversation.held.length > 0 && run.tokens === 0;
        if (!gaveUpIdle) this.#routes.blame(error, conversation.era, without);
        if (run.tokens > 0 || attempt >= limits.routeAttemptsMax) throw error;
        const { hops } = conversation.route;
        const another =
          error instanceof StepTimeoutError ? this.#routes.canPlanBeside(hops, without) : this.#routes.canPlan(without);
        if (!another) throw error;
      } finally {
        this.#routes.keep(conversation);
      }
    }
  }

  async *#stream({ route, held }: Conversation, run: Run): AsyncGenerator<AnswerEvent, GenerationEnd, void> {
    const { tokenizer, ends, manifest } = this.#parts;
    const sampler = createSampler(run.options.sampling ?? {});
    const text = tokenizer.streamDecoder();
    const tokens = generate({
      route,
      ends,
      prompt: run.prompt,
      held,
      width: manifest.architecture.width,
      endTokens: tokenizer.endTokens,
      tokensMax: run.tokensMax,
      sample: (logits, history) => sampler.next(logits, history),
      signal: run.options.signal,
      timing: run.timing,
    });
    for (;;) {
      const next = await tokens.next();
      if (next.done === true) {
        const rest = text.end();
        if (rest !== '') yield { kind: 'text', delta: rest, tokens: run.tokens };
        return next.value;
      }
      run.lastMs = performance.now();
      if (run.tokens++ === 0) run.firstMs = run.lastMs;
      const delta = text.push(next.value);
      if (delta !== '') yield { kind: 'text', delta, tokens: run.tokens };
    }
  }

  renew(): void {
    this.#routes.renew();
  }

  close(): void {
    this.#routes.close();
  }
}

function endOf({ tokens, prompt, startedMs, firstMs, lastMs, timing }: Run, reason: GenerationEnd): AnswerEvent {
  return {
    kind: 'end',
    reason,
    tokens,
    promptTokens: prompt.length,
    firstTokenMs: tokens === 0 ? 0 : firstMs - startedMs,
    tokensPerSecond: tokens > 1 ? ((tokens - 1) * 1000) / (lastMs - firstMs) : 0,
    endsMsPerToken: timing.endsMs / Math.max(1, timing.steps),
    routeMsPerToken: timing.routeMs / Math.max(1, timing.steps),
  };
}
