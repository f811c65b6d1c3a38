import { identityFromSeed, InvalidValueError } from '@unfed/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as limits from './limits.ts';
import { decodeRelayInfo } from './relay-info.ts';

const info = {
  peer: '12D3Koo',
  addresses: ['/ip4/127.0.0.1/tcp/4000/ws'],
  iceServers: [{ urls: 'stun:127.0.0.1:3478' }, { urls: 'turn:127.0.0.1', username: 'a', credential: 'b' }],
  models: [
    { manifest: 'ab'.repeat(32), name: 'demo' },
    { manifest: 'cd'.repeat(32), name: 'signed', publisher: identityFromSeed(new Uint8Array(32)).peer },
  ],
};
const text = JSON.stringify(info);

describe('what a relay says of itself', () => {
  it('is read as it is, and nothing else of it is kept', () => {
    expect(decodeRelayInfo(text)).toEqual(info);
    expect(decodeRelayInfo(JSON.stringify({ ...info, more: 1 }))).toEqual(info);
  });

  it('is refused with what was expected and what came', () => {
    const manifest = { ...info, models: [{ manifest: 'x', name: 'demo' }] };
    expect(() => decodeRelayInfo(JSON.stringify(manifest))).toThrow(/models\.0\.manifest/);
    expect(() => decodeRelayInfo('<!doctype html>')).toThrow(/expected JSON/);
    const unsigned = { ...info, models: [{ ...info.models[0], publisher: 'somebody' }] };
    expect(() => decodeRelayInfo(JSON.stringify(unsigned))).toThrow(/models\.0\.publisher/);
    const elsewhere = { ...info, iceServers: [{ urls: 'https://x' }] };
    expect(() => decodeRelayInfo(JSON.stringify(elsewhere))).toThrow(/iceServers/);
  });

  it('has limits on every length and count', () => {
    const long = 'x'.repeat(limits.relayInfoWordCharsMax + 1);
    const many = <T>(count: number, one: T) => Array.from({ length: count + 1 }, () => one);
    for (const change of [
      { peer: long },
      { addresses: [] },
      { addresses: many(16, '/a') },
      { addresses: [long] },
      { iceServers: many(limits.iceServersMax, info.iceServers[0]) },
      { iceServers: [{ urls: `stun:${long}` }] },
      { models: many(limits.relayModelsMax, info.models[0]) },
      { models: [{ ...info.models[0], name: long }] },
    ]) {
      expect(() => decodeRelayInfo(JSON.stringify({ ...info, ...change }))).toThrow(InvalidValueError);
    }
    expect(() => decodeRelayInfo(' '.repeat(limits.relayInfoCharsMax + 1))).toThrow(/at most/);
  });

  it('fuzz: any text is read, or refused by a typed error', () => {
    const damaged = fc
      .tuple(fc.nat(text.length), fc.nat(8), fc.string({ maxLength: 8 }))
      .map(([at, cut, put]) => text.slice(0, at) + put + text.slice(at + cut));
    const any = fc.oneof(fc.string(), fc.json(), damaged);
    fc.assert(
      fc.property(any, (noise) => {
        try {
          expect(decodeRelayInfo(noise).addresses.length).toBeGreaterThan(0);
        } catch (error) {
          if (!(error instanceof InvalidValueError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });
});
