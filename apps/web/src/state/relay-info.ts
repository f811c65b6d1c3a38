/** The relay's own description, from the page's origin, asked for again until it answers. */
import type { RelayInfo } from '@unfed/client';
import { InvalidValueError, errorText } from '@unfed/protocol';
import * as v from 'valibot';
import * as limits from '../limits.ts';

const word = v.pipe(v.string(), v.minLength(1), v.maxLength(1024));
const relayInfoSchema = v.object({
  peer: word,
  addresses: v.pipe(v.array(word), v.minLength(1), v.maxLength(16)),
  iceServers: v.pipe(
    v.array(
      v.object({
        urls: v.pipe(word, v.regex(/^(stuns?|turns?):/)),
        username: v.exactOptional(word),
        credential: v.exactOptional(word),
      }),
    ),
    v.maxLength(16),
  ),
  models: v.pipe(
    v.array(v.object({ manifest: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)), name: word })),
    v.maxLength(256),
  ),
});

/** @throws InvalidValueError when the text is not what a relay says of itself */
export function parseRelayInfo(text: string): RelayInfo {
  if (text.length > limits.relayInfoBytesMax) {
    throw new InvalidValueError('/relay.json', `at most ${limits.relayInfoBytesMax} bytes`, `${text.length}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new InvalidValueError('/relay.json', 'JSON', JSON.stringify(text.slice(0, 40)));
  }
  const result = v.safeParse(relayInfoSchema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new InvalidValueError(`/relay.json (${v.getDotPath(issue) ?? 'all'})`, 'a relay’s description', issue.message);
}

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
    try {
      const timeout = AbortSignal.timeout(limits.relayFetchTimeoutMs);
      const init = { signal: AbortSignal.any([signal, timeout]), cache: 'no-store' } as const;
      const response = await source.fetch('/relay.json', init);
      if (!response.ok) throw new InvalidValueError('/relay.json', 'status 200', `status ${response.status}`);
      return parseRelayInfo(await response.text());
    } catch (error) {
      signal.throwIfAborted();
      failures += 1;
      const delayMs = retryDelayMs(failures);
      source.onFailure(errorText(error), source.nowMs() + delayMs);
      await source.wait(delayMs, signal);
    }
  }
}
