/** Layers as a person types them: both ends included, as they are shown everywhere. */
import type { Span } from '@unfed/protocol';

/**
 * @param layers of the model; 0 while nobody knows
 * @returns `any` where nothing is typed, `wrong` where it is no span of the model
 */
export function readSpan(first: string, last: string, layers: number): Span | 'any' | 'wrong' {
  const texts = [first.trim(), last.trim()];
  if (texts.every((text) => text === '')) return 'any';
  if (!texts.every((text) => /^\d{1,4}$/.test(text))) return 'wrong';
  const span = { first: Number(texts[0]), last: Number(texts[1]) + 1 };
  return span.first < span.last && (layers === 0 || span.last <= layers) ? span : 'wrong';
}
