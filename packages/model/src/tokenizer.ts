/**
 * Text to tokens and back, and chats to prompts, as a model's tokenizer.json and tokenizer_config.json say.
 * Sole importer of @huggingface/tokenizers.
 */
import { Tokenizer } from '@huggingface/tokenizers';
import { DecodeError, errorText } from '@unfed/protocol';
import { boundedTemplate } from './bounded-template.ts';
import { ChatTemplateError } from './errors.ts';
import { createStreamDecoder, type StreamDecoder } from './stream-decoder.ts';

export interface TemplateMessage {
  readonly role: string;
  readonly content: string;
}

export interface ChatTokenizer {
  /**
   * As a prompt of its own: the start token first, where the model has one, and only one. (Some configs leave it to the
   * chat template; a text without a chat still begins with it.)
   */
  encode(text: string): number[];
  /** Special tokens are left out. */
  decode(ids: readonly number[]): string;
  streamDecoder(): StreamDecoder;
  /** The text of a chat up to where the model's answer begins. @throws ChatTemplateError */
  renderChat(messages: readonly TemplateMessage[]): string;
  /** @throws ChatTemplateError */
  encodeChat(messages: readonly TemplateMessage[]): number[];
  /** Any of these ends an answer. */
  readonly endTokens: ReadonlySet<number>;
}

/** Parsed JSON of a model's files. */
export interface TokenizerFiles {
  readonly tokenizerJson: unknown;
  readonly tokenizerConfig: unknown;
  /** Null where the model has none. */
  readonly generationConfig?: unknown;
}

type Fields = Readonly<Record<string, unknown>>;

/** @throws DecodeError when the files are not a tokenizer's */
export function loadTokenizer(files: TokenizerFiles): ChatTokenizer {
  const tokenizerConfig = fieldsOf(files.tokenizerConfig, 'tokenizer_config.json');
  const generationConfig = fieldsOf(files.generationConfig ?? {}, 'generation_config.json');
  let tokenizer: Tokenizer;
  try {
    tokenizer = new Tokenizer(fieldsOf(files.tokenizerJson, 'tokenizer.json'), tokenizerConfig);
  } catch (cause) {
    if (cause instanceof DecodeError) throw cause;
    throw new DecodeError('tokenizer.json', 'a tokenizer of a known kind', errorText(cause).slice(0, 160), { cause });
  }
  const startToken = tokenText(tokenizerConfig['bos_token']);
  const startId = startToken === undefined ? undefined : tokenizer.token_to_id(startToken);
  const template = lazyTemplate(tokenizerConfig['chat_template']);
  const decode = (ids: readonly number[]): string =>
    ids.length === 0
      ? ''
      : tokenizer.decode([...ids], { skip_special_tokens: true, clean_up_tokenization_spaces: false });
  const renderChat = (messages: readonly TemplateMessage[]): string =>
    template({
      messages,
      add_generation_prompt: true,
      bos_token: startToken ?? '',
      eos_token: tokenText(tokenizerConfig['eos_token']) ?? '',
    });
  return {
    encode(text) {
      const { ids } = tokenizer.encode(text);
      if (startId === undefined) return ids;
      const own = ids.findIndex((id) => id !== startId);
      return [startId, ...(own < 0 ? [] : ids.slice(own))];
    },
    decode,
    streamDecoder: () => createStreamDecoder(decode),
    renderChat,
    encodeChat: (messages) => tokenizer.encode(renderChat(messages), { add_special_tokens: false }).ids,
    endTokens: endTokens(tokenizer, tokenizerConfig, generationConfig),
  };
}

function endTokens(tokenizer: Tokenizer, tokenizerConfig: Fields, generationConfig: Fields): Set<number> {
  const ids: unknown[] = [generationConfig['eos_token_id']].flat();
  const text = tokenText(tokenizerConfig['eos_token']);
  if (text !== undefined) ids.push(tokenizer.token_to_id(text));
  return new Set(ids.filter((id): id is number => Number.isSafeInteger(id)));
}

/** A token stands in configs as text, or as an object with its text. */
function tokenText(token: unknown): string | undefined {
  if (typeof token === 'string') return token;
  if (typeof token !== 'object' || token === null) return undefined;
  const { content } = token as Fields;
  return typeof content === 'string' ? content : undefined;
}

/** Parsed at first use: a model without a template can still continue text. */
function lazyTemplate(source: unknown): (variables: Record<string, unknown>) => string {
  let template: ReturnType<typeof boundedTemplate> | undefined;
  return (variables) => {
    try {
      template ??= boundedTemplate(templateText(source));
      return template(variables);
    } catch (cause) {
      if (cause instanceof ChatTemplateError) throw cause;
      throw new ChatTemplateError(errorText(cause).slice(0, 200), { cause });
    }
  };
}

/** One template, or several with names, of which `default` is for chats. */
function templateText(source: unknown): string {
  if (typeof source === 'string') return source;
  if (Array.isArray(source)) {
    const named = (source as readonly Fields[]).find((entry) => entry?.['name'] === 'default')?.['template'];
    if (typeof named === 'string') return named;
  }
  throw new ChatTemplateError('none in tokenizer_config.json');
}

function fieldsOf(value: unknown, file: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new DecodeError(file, 'a JSON object', Array.isArray(value) ? 'an array' : typeof value);
}
