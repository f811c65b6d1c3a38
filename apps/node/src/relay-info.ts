/** The relay's own description, asked for until it answers: whoever starts both at once need not wait in between. */
import { decodeRelayInfo } from '@unfed/client/relay-info';
import type { RelayInfo } from '@unfed/client/node';
import { errorText, startDeadline } from '@unfed/protocol';
import * as limits from './limits.ts';

export interface RelayInfoSource {
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
  readonly nowMs?: () => number;
  readonly wait?: (ms: number) => Promise<void>;
}

/** @throws Error when no relay answers within `relayWaitMsMax`, the signal's reason */
export async function fetchRelayInfo(
  url: string,
  signal: AbortSignal,
  { fetch: ask = fetch, nowMs = Date.now, wait = sleep }: RelayInfoSource = {},
): Promise<RelayInfo> {
  const endMs = nowMs() + limits.relayWaitMsMax;
  for (;;) {
    const late = new Error(`no answer within ${limits.relayTryMsMax} ms`);
    const deadline = startDeadline(limits.relayTryMsMax, late, signal);
    try {
      const response = await ask(`${url}/relay.json`, { signal: deadline.signal });
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      return decodeRelayInfo(await response.text());
    } catch (cause) {
      signal.throwIfAborted();
      if (nowMs() > endMs) throw new Error(`no relay answers at ${url}: ${errorText(cause)}`, { cause });
    } finally {
      deadline.end();
    }
    await wait(limits.relayRetryMs);
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
