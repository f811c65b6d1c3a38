import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { demoModelFolder } from './demo-model.node.ts';
import { loadTokenizer } from './tokenizer.ts';

async function json(name: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(join(demoModelFolder, name), 'utf8')) as Record<string, unknown>;
}
const tokenizerJson = await json('tokenizer.json');
const tokenizerConfig = await json('tokenizer_config.json');
const generationConfig = await json('generation_config.json');
const demo = loadTokenizer({ tokenizerJson, tokenizerConfig, generationConfig });

interface Prompt {
  readonly prompt?: string;
  readonly messages?: { readonly role: string; readonly content: string }[];
  readonly ids: readonly number[];
  readonly greedy4: readonly number[];
  readonly text: string;
}
const prompts = JSON.parse(await readFile(join(demoModelFolder, 'prompts.json'), 'utf8')) as Prompt[];

function stream(ids: readonly number[]): string {
  const decoder = demo.streamDecoder();
  return ids.map((id) => decoder.push(id)).join('') + decoder.end();
}

describe("the demo model's prompts", () => {
  test.each(prompts)('$messages.0.content$prompt', ({ prompt, messages, ids, greedy4, text }) => {
    expect(messages === undefined ? demo.encode(prompt ?? '') : demo.encodeChat(messages)).toEqual(ids);
    expect(stream(greedy4)).toBe(text);
  });

  test('end with any token that either config names', () => {
    expect([...demo.endTokens].sort()).toEqual([0, 3]);
    expect([...loadTokenizer({ tokenizerJson, tokenizerConfig }).endTokens]).toEqual([3]);
  });
});

describe('the start token', () => {
  test('stands once before a text, also where the text has it already', () => {
    const [start, ...rest] = demo.encode('Hello');
    expect(start).toBe(0);
    expect(demo.encode('<|endoftext|>Hello')).toEqual([0, ...rest]);
    expect(demo.encode('')).toEqual([0]);
  });

  test('stands once in a chat, where the template writes it', () => {
    const ids = demo.encodeChat([{ role: 'user', content: 'Hello' }]);
    expect(ids.filter((id) => id === 0)).toEqual([0]);
  });
});

describe('the stream decoder', () => {
  test('gives the text of the whole, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const ids = demo.encode(text).slice(1);
        expect(stream(ids)).toBe(demo.decode(ids));
      }),
    );
  });

  test('holds half characters back until they are whole', () => {
    const ids = demo.encode('é🙂').slice(1);
    const decoder = demo.streamDecoder();
    const pieces = ids.map((id) => decoder.push(id));
    expect(pieces.join('')).toBe('é🙂');
    expect(pieces.filter((piece) => piece !== '').every((piece) => !piece.includes('\ufffd'))).toBe(true);
  });

  test('gives half a character out as U+FFFD at the end', () => {
    const [first] = demo.encode('🙂').slice(1);
    const decoder = demo.streamDecoder();
    expect(decoder.push(first)).toBe('');
    expect(decoder.end()).toBe('\ufffd');
    expect(decoder.end()).toBe('');
  });

  test('gives the text of the whole for any tokens', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 2047 }), { maxLength: 40 }), (ids) => {
        expect(stream(ids)).toBe(demo.decode(ids));
      }),
    );
  });

  test('leaves special tokens out, and goes on after them', () => {
    const [hello] = demo.encode('Hello').slice(1);
    expect(stream([2, hello, 3, hello])).toBe('HelloHello');
  });
});

describe('a chat template', () => {
  const rendering = (template: unknown) =>
    loadTokenizer({ tokenizerJson, tokenizerConfig: { ...tokenizerConfig, chat_template: template } }).renderChat([
      { role: 'user', content: 'a' },
    ]);

  test('may be one of several with names', () => {
    const templates = [
      { name: 'tool_use', template: 'tools' },
      { name: 'default', template: '{{ bos_token }}{{ messages[0].content }}{{ eos_token }}' },
    ];
    expect(rendering(templates)).toBe('<|endoftext|>a<|end|>');
  });

  test.each([
    ['none', undefined],
    ['one that does not parse', '{% for %}'],
    ['one that refuses the messages', "{{ raise_exception('roles must alternate') }}"],
  ])('that is %s gives a typed error', (_, template) => {
    expect(() => rendering(template)).toThrow(expect.objectContaining({ code: 'chat-template' }));
  });
});

test.each([null, [], {}, { model: { type: 'Imaginary' } }])('tokenizer.json of %j is refused', (bad) => {
  expect(() => loadTokenizer({ tokenizerJson: bad, tokenizerConfig })).toThrow(
    expect.objectContaining({ code: 'decode' }),
  );
});
