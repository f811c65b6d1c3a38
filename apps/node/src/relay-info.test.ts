import { describe, expect, it, vi } from 'vitest';
import * as limits from './limits.ts';
import { fetchRelayInfo } from './relay-info.ts';

// One try may take this long.
vi.mock('./limits.ts', async (original) => ({ ...(await original<typeof limits>()), relayTryMsMax: 50 }));

const info = { peer: '12D3Koo', addresses: ['/ip4/127.0.0.1/tcp/4000/ws'], iceServers: [], models: [] };
const url = 'http://localhost';
const never = new AbortController().signal;
const wait = async (): Promise<void> => undefined;

describe('the relay’s description', () => {
  it('is asked for until the relay answers: away, failing, silent, or something else than a relay', async () => {
    const answers: ((init: RequestInit) => Promise<Response>)[] = [
      () => Promise.reject(new TypeError('fetch failed')),
      async () => new Response('', { status: 502 }),
      ({ signal }) =>
        new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason as Error))),
      async () => new Response('<!doctype html>'),
      async () => Response.json({ ...info, addresses: [] }),
      async () => Response.json(info),
    ];
    const ask = (_url: string, init: RequestInit) => (answers.shift() ?? (async () => Response.json(info)))(init);
    expect(await fetchRelayInfo(url, never, { fetch: ask, wait })).toEqual(info);
    expect(answers).toHaveLength(0);
  });

  it('is given up after a time, with what came last', async () => {
    let nowMs = 0;
    const source = { fetch: async () => new Response('', { status: 404 }), nowMs: () => (nowMs += 20_000), wait };
    await expect(fetchRelayInfo(url, never, source)).rejects.toThrow(/no relay answers.*HTTP 404/);
    expect(nowMs).toBeGreaterThan(limits.relayWaitMsMax);
  });

  it('is asked for no longer than its caller wants', async () => {
    const caller = new AbortController();
    const source = {
      fetch: async () => {
        caller.abort(new Error('told to end'));
        throw new TypeError('fetch failed');
      },
      wait,
    };
    await expect(fetchRelayInfo(url, caller.signal, source)).rejects.toThrow('told to end');
  });
});
