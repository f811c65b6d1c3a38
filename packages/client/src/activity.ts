/** Whether steps of answers pass through this peer now, so that bulk transfers leave them room. */
import * as limits from './limits.ts';
import type { Chat } from './peer.ts';

export interface Activity {
  /** An answer is under way here, or a step was served a moment ago. */
  isBusy(): boolean;
  /** The same chat, whose answers count. */
  watch(chat: Chat): Chat;
}

export interface ActivityOptions {
  /** Positions that this peer computed as a stage so far. */
  readonly positionsServed: () => number;
  /** An answer began or ended. */
  readonly onChange: () => void;
  readonly nowMs?: () => number;
}

export function createActivity({ positionsServed, onChange, ...options }: ActivityOptions): Activity {
  const { nowMs = () => performance.now() } = options;
  let answers = 0;
  let served = 0;
  let servingUntilMs = -Infinity;

  function count(change: 1 | -1): void {
    answers += change;
    onChange();
  }

  return {
    isBusy() {
      const now = positionsServed();
      if (now > served) servingUntilMs = nowMs() + limits.stepLullMs;
      served = now;
      return answers > 0 || nowMs() < servingUntilMs;
    },
    watch: (chat) => ({
      manifest: chat.manifest,
      name: chat.name,
      contextLength: chat.contextLength,
      promptTokens: (messages) => chat.promptTokens(messages),
      renew: () => chat.renew(),
      async *answer(messages, answerOptions) {
        count(1);
        try {
          yield* chat.answer(messages, answerOptions);
        } finally {
          count(-1);
        }
      },
    }),
  };
}
