import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { markdownCharsMax } from '../limits.ts';
import { followableAddress, parseMarkdown, type Block } from './parse-markdown.ts';

const kinds = new Set(
  'paragraph heading code quote list table rule text strong emphasis deleted link break'.split(' '),
);

/** Every node of the tree, wherever it stands. */
function nodesOf(value: unknown): { kind: string; href?: string }[] {
  if (Array.isArray(value)) return value.flatMap(nodesOf);
  if (typeof value !== 'object' || value === null) return [];
  const own = 'kind' in value ? [value as { kind: string }] : [];
  return [...own, ...Object.values(value).flatMap(nodesOf)];
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.map(textOf).join('');
  if (typeof value !== 'object' || value === null) return '';
  if ('text' in value) return String(value.text);
  return Object.values(value).map(textOf).join('');
}

describe('parseMarkdown', () => {
  it('shows HTML as text and never as HTML', () => {
    const blocks = parseMarkdown('<script>alert(1)</script>\n\nhi <img src=x onerror=alert(1)> <b>there</b>');
    expect(textOf(blocks)).toContain('<script>alert(1)</script>');
    expect(textOf(blocks)).toContain('<img src=x onerror=alert(1)>');
    expect(nodesOf(blocks).every((node) => kinds.has(node.kind))).toBe(true);
  });

  it('shows an image as its description, without its address', () => {
    expect(parseMarkdown('![a cat](https://example.org/cat.png)')).toEqual([
      { kind: 'paragraph', content: [{ kind: 'text', text: 'a cat' }] },
    ] satisfies Block[]);
  });

  it('keeps only links that a person may follow', () => {
    const links = nodesOf(parseMarkdown('[a](javascript:alert(1)) [b](https://example.org/) [c](data:text/html,x)'));
    expect(links.filter((node) => node.kind === 'link').map((node) => node.href)).toEqual(['https://example.org/']);
    expect(followableAddress('JAVASCRIPT:alert(1)')).toBeUndefined();
    expect(followableAddress('/relative')).toBeUndefined();
  });

  it('reads tables, lists and code', () => {
    const blocks = parseMarkdown(
      '| a | b |\n|---|--:|\n| 1 | 2 |\n\n3. x\n4. y\n\n- [x] done\n\n```ts\nlet a = 1;\n```',
    );
    expect(blocks.map((block) => block.kind)).toEqual(['table', 'list', 'list', 'code']);
    expect(blocks[0]).toMatchObject({ header: [{ alignment: 'start' }, { alignment: 'end' }] });
    expect(blocks[1]).toMatchObject({ ordered: true, start: 3 });
    expect(blocks[2]).toMatchObject({ items: [{ checked: true }] });
    expect(textOf(blocks[2])).toBe('done');
    expect(blocks[3]).toEqual({ kind: 'code', language: 'ts', text: 'let a = 1;' });
  });

  it('shows a text over the limit as it is', () => {
    const source = '*'.repeat(markdownCharsMax + 1);
    expect(parseMarkdown(source)).toEqual([{ kind: 'paragraph', content: [{ kind: 'text', text: source }] }]);
  });

  it('takes any text, and gives only nodes that the page draws', () => {
    const pieces = fc.constantFrom(
      '<img src=x>',
      '<script>',
      '](',
      '![',
      '[',
      '`',
      '```\n',
      '> ',
      '- ',
      '|',
      '\n',
      '*',
      'a',
    );
    const source = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(pieces).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(source, (text) => {
        for (const node of nodesOf(parseMarkdown(text))) {
          expect(kinds.has(node.kind)).toBe(true);
          if (node.href !== undefined) expect(node.href).toMatch(/^(https?|mailto):/);
        }
      }),
    );
  });

  it('survives deep nesting', () => {
    expect(nodesOf(parseMarkdown('> '.repeat(500) + 'x')).length).toBeGreaterThan(0);
    expect(nodesOf(parseMarkdown('*a '.repeat(300))).length).toBeGreaterThan(0);
  });
});
