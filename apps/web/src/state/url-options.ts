/** The parameters of the page's address, for demonstrations and tests: `?tab=`, `?backend=`, `?donate=FIRST-LAST`. */
import type { Span } from '@unfed/protocol';

export const tabs = ['chat', 'donate', 'network', 'privacy'] as const;
export type Tab = (typeof tabs)[number];

export interface UrlOptions {
  readonly tab: Tab;
  /** Undefined: tested and measured. */
  readonly backend: 'webgpu' | 'wasm' | undefined;
  /** Layers to serve from the start, `[first, last)`: on this machine and in private networks alone. */
  readonly donate: Span | undefined;
}

/**
 * Reads the query of an address; what does not fit is ignored. A link must not make a visitor's machine work without a
 * press, so `donate` counts only where the page is served for development.
 */
export function readUrlOptions({ search, hostname }: { search: string; hostname: string }): UrlOptions {
  const query = new URLSearchParams(search);
  const backend = query.get('backend');
  const [, first, last] = /^(\d{1,4})-(\d{1,4})$/.exec(query.get('donate') ?? '') ?? [];
  const span = { first: Number(first), last: Number(last) };
  return {
    tab: tabs.find((tab) => tab === query.get('tab')) ?? 'chat',
    backend: backend === 'webgpu' || backend === 'wasm' ? backend : undefined,
    donate: span.first < span.last && isLocal(hostname) ? span : undefined,
  };
}

/** Loopback, and the private ranges of RFC 1918. */
function isLocal(hostname: string): boolean {
  return /^(localhost|\[::1\]|127\.[\d.]+|10\.[\d.]+|192\.168\.[\d.]+|172\.(1[6-9]|2\d|3[01])\.[\d.]+)$/.test(hostname);
}
