/**
 * Tokens to text as they come. A token may end within a character, and decoders treat the start of a text apart, so each
 * piece is decoded with the piece before it and only the new part is given out. The cost of a token does not grow with
 * the answer.
 */
import * as limits from './limits.ts';

export interface StreamDecoder {
  /** @returns the new text; empty while a character is not whole */
  push(id: number): string;
  /** @returns what was held back, half characters as U+FFFD */
  end(): string;
}

/** @param decode tokens to text, special tokens left out; '' for none */
export function createStreamDecoder(decode: (ids: readonly number[]) => string): StreamDecoder {
  let context: readonly number[] = [];
  let contextText = '';
  let held: number[] = [];

  const flush = (text: string): string => {
    const delta = text.slice(contextText.length);
    // Tokens without text (special ones) make no context: the text before them still is it.
    if (delta !== '') {
      context = held;
      contextText = decode(context);
    }
    held = [];
    return delta;
  };

  return {
    push(id) {
      held.push(id);
      const text = decode([...context, ...held]);
      return text.endsWith('\ufffd') && held.length < limits.heldTokensMax ? '' : flush(text);
    },
    end: () => (held.length === 0 ? '' : flush(decode([...context, ...held]))),
  };
}
