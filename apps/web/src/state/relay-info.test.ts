import { describe, expect, it } from 'vitest';
import * as limits from '../limits.ts';
import { fetchRelayInfo, retryDelayMs } from './relay-info.ts';

const info = {
  peer: '12D3Koo',
  addresses: ['/ip4/127.0.0.1/tcp/4000/ws'],
  iceServers: [{ urls: 'stun:127.0.0.1:3478' }],
  models: [{ manifest: 'ab'.repeat(32), name: 'demo' }],
};

describe('fetchRelayInfo', () => {
  it('asks until the relay answers, waiting longer each time, and says so', async () => {
    const waits: number[] = [];
    const said: [string, number][] = [];
    let asked = 0;
    const came = await fetchRelayInfo(
      {
        fetch: async () => {
          asked++;
          if (asked === 1) throw new TypeError('Failed to fetch');
          return asked === 2 ? new Response('', { status: 502 }) : Response.json(info);
        },
        wait: async (ms) => void waits.push(ms),
        nowMs: () => 1_000_000,
        onFailure: (error, nextTryMs) => said.push([error, nextTryMs]),
      },
      new AbortController().signal,
    );
    expect(came).toEqual(info);
    expect(waits).toEqual([1000, 2000]);
    expect(said[0]).toEqual(['Failed to fetch', 1_001_000]);
    expect(said[1][0]).toContain('502');
  });

  it('waits no longer than its limit', () => {
    expect(retryDelayMs(50)).toBe(limits.relayRetryMaxMs);
  });

  it('ends with the signal', async () => {
    const controller = new AbortController();
    const source = {
      fetch: async () => Promise.reject(new TypeError('Failed to fetch')),
      wait: async () => controller.abort(new Error('closed')),
      nowMs: () => 0,
      onFailure: () => undefined,
    };
    await expect(fetchRelayInfo(source, controller.signal)).rejects.toThrow('closed');
  });
});
