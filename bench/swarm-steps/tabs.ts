/**
 * What the benchmark of steps asks of pages. Nothing handed to a page in here may have a name: tsx marks named functions for
 * Node, and the page does not know its mark.
 */
import type { Page } from '@playwright/test';
import type { DonationState, Peer } from '@unfed/client';
import type { ManifestHash, Span } from '@unfed/protocol';

interface PeerWindow {
  readonly unfed: { readonly peer: Peer };
}

/** Room for the large model; the default may be less. */
const memoryBytesMax = 1 << 30;

/** @returns when the page has its peer */
export async function open(page: Page, url: string): Promise<void> {
  page.setDefaultTimeout(240_000);
  await page.goto(`${url}/?backend=wasm`);
  await page.waitForFunction(() => (window as unknown as PeerWindow).unfed !== undefined);
}

/** Begins to donate; what comes of it is seen in `donationState`. */
export async function donate(page: Page, manifest: ManifestHash, span: Span): Promise<void> {
  await page.evaluate((it) => void (window as unknown as PeerWindow).unfed.peer.donation.start(it), {
    manifest,
    span,
    memoryBytesMax,
    backend: 'wasm' as const,
  });
}

export function donationState(page: Page): Promise<DonationState['kind']> {
  return page.evaluate(() => (window as unknown as PeerWindow).unfed.peer.donation.state.kind);
}

export async function untilServing(page: Page): Promise<void> {
  await page.waitForFunction(() => (window as unknown as PeerWindow).unfed.peer.donation.state.kind === 'serving');
}

/** @returns when the page has so many bytes of what it downloads */
export async function untilDownloaded(page: Page, bytes: number): Promise<void> {
  await page.waitForFunction((wanted) => {
    const { state } = (window as unknown as PeerWindow).unfed.peer.donation;
    return state.kind === 'downloading' && state.bytes >= wanted;
  }, bytes);
}

/** @returns what came of the download so far, and whether that was all of it */
export function downloaded(page: Page): Promise<{ readonly bytes: number; readonly isDone: boolean }> {
  return page.evaluate(() => {
    const { unfed } = window as unknown as PeerWindow;
    const bytes = unfed.peer.weights.view.models.reduce((sum, { heldBytes }) => sum + heldBytes, 0);
    return { bytes, isDone: unfed.peer.donation.state.kind !== 'downloading' };
  });
}

/** Ends the donation, and forgets its weights. */
export async function forget(page: Page, manifest: ManifestHash): Promise<void> {
  await page.evaluate(async (hash) => {
    const { peer } = (window as unknown as PeerWindow).unfed;
    await peer.donation.stop();
    await peer.weights.delete(hash);
  }, manifest);
}

/** @returns when every layer of a model is served */
export async function untilCovered(page: Page, manifest: ManifestHash): Promise<void> {
  await page.waitForFunction((hash) => {
    const pool = (window as unknown as PeerWindow).unfed.peer.network.pools.find((it) => it.manifest === hash);
    return pool !== undefined && pool.layers > 0 && pool.coverage.every((count) => count > 0);
  }, manifest);
}

/** One step: when its token came, ms since 1970, and how long it took with what the ends compute. */
export interface Step {
  readonly atMs: number;
  readonly ms: number;
}

/** Asks a question. */
export function steps(page: Page, manifest: ManifestHash, tokensMax: number): Promise<Step[]> {
  return page.evaluate(
    async (options) => {
      const { peer } = (window as unknown as PeerWindow).unfed;
      const chat = await peer.openChat(options.manifest);
      const messages = [{ role: 'user' as const, content: 'Tell me a story about a fox.' }];
      const steps: Step[] = [];
      let last: { readonly tokens: number; readonly atMs: number } | undefined;
      for await (const event of chat.answer(messages, { tokensMax: options.tokensMax })) {
        if (event.kind !== 'text') continue;
        const now = { tokens: event.tokens, atMs: performance.now() };
        // Parts of a character are held back: where two tokens came, neither was seen alone.
        if (last !== undefined && now.tokens === last.tokens + 1)
          steps.push({ atMs: Date.now(), ms: now.atMs - last.atMs });
        last = now;
      }
      return steps;
    },
    { manifest, tokensMax },
  );
}
