/** The parameters of the page's address, for demonstrations and tests: `?tab=`, `?backend=`, `?donate=FIRST-LAST`. */
import type { Span } from '@unfed/protocol';

export const tabs = ['chat', 'donate', 'network', 'privacy'] as const;
export type Tab = (typeof tabs)[number];

export interface UrlOptions {
  readonly tab: Tab;
  /** Undefined: tested and measured. */
  readonly backend: 'webgpu' | 'wasm' | undefined;
  /** Layers to serve from the start, `[first, last)`. */
  readonly donate: Span | undefined;
}

/** @param search the query of an address, with or without its question mark; what does not fit is ignored */
export function readUrlOptions(search: string): UrlOptions {
  const query = new URLSearchParams(search);
  const backend = query.get('backend');
  const [, first, last] = /^(\d{1,4})-(\d{1,4})$/.exec(query.get('donate') ?? '') ?? [];
  const span = { first: Number(first), last: Number(last) };
  return {
    tab: tabs.find((tab) => tab === query.get('tab')) ?? 'chat',
    backend: backend === 'webgpu' || backend === 'wasm' ? backend : undefined,
    donate: span.first < span.last ? span : undefined,
  };
}
