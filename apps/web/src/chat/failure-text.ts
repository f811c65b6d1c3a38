/** An error as a sentence, which says whether something had been written already. */
import { strings } from '../strings.ts';

export function failureText(answer: string, message: string): string {
  const sentence = message.trim().replace(/[.\s]+$/, '');
  return answer === '' ? strings.chat.failed(sentence) : strings.chat.brokenOff(sentence);
}
