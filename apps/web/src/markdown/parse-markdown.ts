/**
 * Markdown as a closed tree that the page draws itself. There is no node for HTML, scripts or images, so an answer can
 * neither run anything nor fetch anything: HTML is shown as text, an image as its description, and a link only when a
 * person follows it.
 */
import { Lexer, type Token, type Tokens } from 'marked';
import { markdownCharsMax, markdownDepthMax } from '../limits.ts';

export type Inline =
  | { readonly kind: 'text' | 'code'; readonly text: string }
  | { readonly kind: 'strong' | 'emphasis' | 'deleted'; readonly content: readonly Inline[] }
  | { readonly kind: 'link'; readonly href: string; readonly content: readonly Inline[] }
  | { readonly kind: 'break' };

export type Alignment = 'start' | 'center' | 'end';

export interface TableCell {
  readonly content: readonly Inline[];
  readonly alignment: Alignment;
}

export interface ListItem {
  /** Undefined where the item has no box to tick. */
  readonly checked: boolean | undefined;
  readonly blocks: readonly Block[];
}

export type Block =
  | { readonly kind: 'paragraph'; readonly content: readonly Inline[] }
  | { readonly kind: 'heading'; readonly level: number; readonly content: readonly Inline[] }
  | { readonly kind: 'code'; readonly language: string; readonly text: string }
  | { readonly kind: 'quote'; readonly blocks: readonly Block[] }
  | { readonly kind: 'list'; readonly ordered: boolean; readonly start: number; readonly items: readonly ListItem[] }
  | { readonly kind: 'table'; readonly header: readonly TableCell[]; readonly rows: readonly (readonly TableCell[])[] }
  | { readonly kind: 'rule' };

/**
 * @param source markdown, as a model writes it; may end anywhere
 * @returns its blocks; one paragraph with the whole text where the source is longer than `markdownCharsMax`
 */
export function parseMarkdown(source: string): Block[] {
  if (source.length > markdownCharsMax) return [{ kind: 'paragraph', content: [{ kind: 'text', text: source }] }];
  return blocksOf(new Lexer({ gfm: true, breaks: true }).lex(source), 0);
}

/** @returns the address when it is one that a person may follow (http, https, mailto), else undefined */
export function followableAddress(href: string): string | undefined {
  try {
    const url = new URL(href);
    return ['http:', 'https:', 'mailto:'].includes(url.protocol) ? url.href : undefined;
  } catch {
    return undefined;
  }
}

function blocksOf(tokens: readonly Token[], depth: number): Block[] {
  return tokens.flatMap((token) => blockOf(token as Tokens.Generic, depth));
}

function plain(text: string): Block[] {
  return text.trim() === '' ? [] : [{ kind: 'paragraph', content: [{ kind: 'text', text: text.trimEnd() }] }];
}

function blockOf(token: Tokens.Generic, depth: number): Block[] {
  if (depth > markdownDepthMax) return plain(token.raw);
  switch (token.type) {
    case 'space':
    case 'checkbox':
    case 'def':
      return [];
    case 'heading':
      return [{ kind: 'heading', level: token.depth as number, content: inlinesOf(token.tokens, depth) }];
    case 'code':
      return [{ kind: 'code', language: String(token.lang ?? '').split(/\s/)[0] ?? '', text: String(token.text) }];
    case 'blockquote':
      return [{ kind: 'quote', blocks: blocksOf(token.tokens ?? [], depth + 1) }];
    case 'list':
      return [listOf(token as Tokens.List, depth)];
    case 'table':
      return [tableOf(token as Tokens.Table, depth)];
    case 'hr':
      return [{ kind: 'rule' }];
    case 'paragraph':
    case 'text':
      return token.tokens === undefined
        ? plain(token.raw)
        : [{ kind: 'paragraph', content: inlinesOf(token.tokens, depth) }];
    default:
      return plain(token.raw);
  }
}

function listOf(list: Tokens.List, depth: number): Block {
  return {
    kind: 'list',
    ordered: list.ordered,
    start: list.start === '' ? 1 : list.start,
    items: list.items.map((item) => ({
      checked: item.task ? item.checked === true : undefined,
      blocks: blocksOf(item.tokens, depth + 1),
    })),
  };
}

function tableOf(table: Tokens.Table, depth: number): Block {
  const cellOf = (cell: Tokens.TableCell): TableCell => ({
    content: inlinesOf(cell.tokens, depth),
    alignment: cell.align === 'right' ? 'end' : cell.align === 'center' ? 'center' : 'start',
  });
  return { kind: 'table', header: table.header.map(cellOf), rows: table.rows.map((row) => row.map(cellOf)) };
}

function inlinesOf(tokens: readonly Token[] | undefined, depth: number): Inline[] {
  return (tokens ?? []).flatMap((token) => inlineOf(token as Tokens.Generic, depth + 1));
}

function inlineOf(token: Tokens.Generic, depth: number): Inline[] {
  if (depth > markdownDepthMax) return [{ kind: 'text', text: token.raw }];
  const content = () => inlinesOf(token.tokens, depth);
  switch (token.type) {
    case 'checkbox':
      return [];
    case 'escape':
      return [{ kind: 'text', text: String(token.text) }];
    case 'codespan':
      return [{ kind: 'code', text: String(token.text) }];
    case 'strong':
      return [{ kind: 'strong', content: content() }];
    case 'em':
      return [{ kind: 'emphasis', content: content() }];
    case 'del':
      return [{ kind: 'deleted', content: content() }];
    case 'br':
      return [{ kind: 'break' }];
    case 'link': {
      const href = followableAddress(String(token.href));
      return href === undefined ? content() : [{ kind: 'link', href, content: content() }];
    }
    case 'image':
      return [{ kind: 'text', text: String(token.text) || String(token.href) }];
    case 'text':
      return token.tokens === undefined ? [{ kind: 'text', text: String(token.text) }] : content();
    default:
      return [{ kind: 'text', text: token.raw }];
  }
}
