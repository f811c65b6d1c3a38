/** The relay's own description, from the page's origin, asked for again until it answers. */
import type { RelayInfo } from '@unfed/client';
import { decodeRelayInfo } from '@unfed/client/relay-info';
import { errorText, InvalidValueError, startDeadline } from '@unfed/protocol';
import * as limits from '../limits.ts';

/** @returns the wait before a try, in ms: doubling from `relayRetryFirstMs` to `relayRetryMaxMs` */
export function retryDelayMs(failures: number): number {
  return Math.min(limits.relayRetryMaxMs, limits.relayRetryFirstMs * 2 ** Math.max(0, failures - 1));
}

export interface RelayInfoSource {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly nowMs: () => number;
  /** Called after each failure, with the time of the next try, in ms since 1970. */
  readonly onFailure: (error: string, nextTryMs: number) => void;
}

/** Asks until the relay answers. @throws only the signal's reason */
export async function fetchRelayInfo(source: RelayInfoSource, signal: AbortSignal): Promise<RelayInfo> {
  for (let failures = 0; ;) {
    signal.throwIfAborted();
    const late = new InvalidValueError('/relay.json', `an answer within ${limits.relayFetchTimeoutMs} ms`, 'none');
    const deadline = startDeadline(limits.relayFetchTimeoutMs, late, signal);
    try {
      const response = await source.fetch('/relay.json', { signal: deadline.signal, cache: 'no-store' });
      if (!response.ok) throw new InvalidValueError('/relay.json', 'status 200', `status ${response.status}`);
      return decodeRelayInfo(await response.text());
    } catch (error) {
      signal.throwIfAborted();
      failures += 1;
      const delayMs = retryDelayMs(failures);
      source.onFailure(errorText(error), source.nowMs() + delayMs);
      await source.wait(delayMs, signal);
    } finally {
      deadline.end();
    }
  }
}
