/** The page of a local pool as tests use it: each tab in a browser context of its own, like another person's machine. */
import { expect, type Browser, type BrowserContext, type Page } from '@playwright/test';
import type { Peer } from '@unfed/client';
import { prepare } from '../scripts/prepare.ts';
import { startLocalPool, type LocalPool, type VolunteerOptions } from '../scripts/local-pool.ts';

export interface PageWindow {
  readonly unfed: { readonly peer: Peer };
}

/**
 * A relay with the built page and the demo model, two peers that only forward, as many as a circuit's guard and the
 * forwarder behind it, and Node volunteers where asked for.
 */
export async function startPagePool(volunteers: readonly VolunteerOptions[] = []): Promise<LocalPool> {
  const prepared = await prepare();
  const members = [...volunteers, { forwarders: 2 }];
  return startLocalPool({ ...prepared, volunteers: members, signal: new AbortController().signal });
}

/** Tabs of many people on one pool, and every host that any of them asked for anything. */
export class Tabs {
  readonly hosts = new Set<string>();
  readonly #browser: Browser;
  readonly #url: string;
  readonly #contexts: BrowserContext[] = [];

  constructor(browser: Browser, pool: Pick<LocalPool, 'url'>) {
    this.#browser = browser;
    this.#url = pool.url;
  }

  async open(query: string): Promise<Page> {
    const context = await this.#browser.newContext();
    this.#contexts.push(context);
    context.on('request', (request) => this.hosts.add(new URL(request.url()).hostname));
    const page = await context.newPage();
    page.on('websocket', (socket) => this.hosts.add(new URL(socket.url()).hostname));
    await page.goto(`${this.#url}/${query}`);
    return page;
  }

  /** A tab that serves `[first, last)`, ready to compute. */
  async volunteer(layers: string, backend: 'wasm' | 'webgpu'): Promise<Page> {
    const page = await this.open(`?tab=donate&donate=${layers}&backend=${backend}`);
    const state = page.getByTestId('donation-state');
    await expect(state).toHaveAttribute('data-kind', 'serving', { timeout: 120_000 });
    return page;
  }

  async close(): Promise<void> {
    await Promise.all(this.#contexts.map((context) => context.close()));
  }
}

/** Waits until this tab knows that every layer of the demo model is served. */
export async function poolIsWhole(page: Page): Promise<void> {
  await page.waitForFunction(() => {
    const [pool] = (window as unknown as PageWindow).unfed?.peer.network.pools ?? [];
    return pool !== undefined && pool.layers > 0 && pool.coverage.every((count) => count > 0);
  });
}

/** Types and sends a question, agreeing to what must be fetched. */
export async function ask(page: Page, question: string): Promise<void> {
  await page.getByTestId('prompt').fill(question);
  await page.getByTestId('send').click();
  const consent = page.getByTestId('consent');
  await consent.or(page.getByTestId('answer')).or(page.getByTestId('error')).first().waitFor();
  if (await consent.isVisible()) await consent.click();
}

/** The text of the last answer, when it is complete. */
export async function answerOf(page: Page): Promise<string> {
  await expect(page.getByTestId('answer-stats')).toContainText('tokens', { timeout: 120_000 });
  return (await page.getByTestId('answer').innerText()).trim();
}

export interface ConnectionFact {
  readonly peer: string;
  readonly transport: string;
  readonly isRelay: boolean;
}

export function connectionsOf(page: Page): Promise<readonly ConnectionFact[]> {
  return page.evaluate(() => (window as unknown as PageWindow).unfed.peer.network.connections);
}

export function peerIdOf(page: Page): Promise<string> {
  return page.evaluate(() => (window as unknown as PageWindow).unfed.peer.id);
}
