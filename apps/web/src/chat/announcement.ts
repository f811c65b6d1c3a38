/** What is said of a turn to people who do not see it. */
import type { Turn } from '../state/conversation.ts';
import { strings } from '../strings.ts';
import { failureText } from './failure-text.ts';

/** The same text for as long as there is nothing new to say. */
export function announcement(turn: Turn): string {
  switch (turn.state.kind) {
    case 'queued':
      return turn.state.note;
    case 'consent':
      return '';
    case 'answering':
      return strings.chat.answering;
    case 'done':
      return turn.answer;
    case 'stopped':
      return `${turn.answer} ${strings.chat.stopped}`.trim();
    case 'failed':
      return failureText(turn.answer, turn.state.message);
  }
}
