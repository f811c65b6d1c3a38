/** What the components share: the stores of this page. One is made in main.ts, another by the harness of the tests. */
import { getContext, setContext } from 'svelte';
import type { ChatSession } from './state/chat-session.ts';
import type { Connection } from './state/connection.ts';
import type { DonationControl } from './state/donation-control.ts';
import type { SettingsStore } from './state/settings.ts';
import type { UrlOptions } from './state/url-options.ts';

export interface Page {
  readonly connection: Connection;
  readonly settings: SettingsStore;
  readonly session: ChatSession;
  readonly donation: DonationControl;
  readonly options: UrlOptions;
}

const key = Symbol('page');

export function providePage(page: Page): void {
  setContext(key, page);
}

export function usePage(): Page {
  return getContext<Page>(key);
}
