import { describe, expect, it } from 'vitest';
import { createHopKeys } from './hop-keys.ts';
import * as limits from './limits.ts';
import { seededBytes } from './seeded-random.fixture.ts';

function keysAt() {
  const time = { nowMs: 5 };
  return { time, keys: createHopKeys({ nowMs: () => time.nowMs, random: seededBytes(4) }) };
}

describe('hop keys (C3)', () => {
  it('one key in the first hour; then this hour’s and the previous one, newest first', () => {
    const { time, keys } = keysAt();
    const [first] = keys.announced;
    time.nowMs += limits.hopKeyMs - 1;
    expect(keys.announced).toEqual([first]);
    time.nowMs += 1;
    const [second, previous] = keys.announced;
    expect(previous).toEqual(first);
    expect(second).not.toEqual(first);
  });

  it('a key opens handshakes in its hour and the next, and never after, however long nobody asked', () => {
    const { time, keys } = keysAt();
    const [first] = keys.announced;
    time.nowMs += 2 * limits.hopKeyMs - 1;
    expect(keys.secretOf(first)).toHaveLength(32);
    time.nowMs += 1;
    expect(keys.secretOf(first)).toBeUndefined();
    time.nowMs += 100 * limits.hopKeyMs;
    const [last] = keys.announced;
    expect(keys.announced).toHaveLength(1);
    time.nowMs += 2 * limits.hopKeyMs;
    expect(keys.secretOf(last)).toBeUndefined();
    expect(keys.announced).toHaveLength(1);
  });

  it('a client key is taken once for a hop key, and never for a key that is not valid', () => {
    const { keys } = keysAt();
    const [key] = keys.announced;
    const client = new Uint8Array(32).fill(7);
    expect(keys.firstUse(key, client)).toBe(true);
    expect(keys.firstUse(key, client)).toBe(false);
    expect(keys.firstUse(new Uint8Array(32), client)).toBe(false);
  });

  it('of very many client keys the oldest are forgotten, and none is refused', () => {
    const { keys } = keysAt();
    const [key] = keys.announced;
    const client = (number: number): Uint8Array => {
      const bytes = new Uint8Array(32);
      new DataView(bytes.buffer).setUint32(0, number);
      return bytes;
    };
    let taken = 0;
    for (let i = 0; i <= limits.handshakesRememberedMax; i++) if (keys.firstUse(key, client(i))) taken++;
    expect(taken).toBe(limits.handshakesRememberedMax + 1);
    expect(keys.firstUse(key, client(limits.handshakesRememberedMax))).toBe(false);
    expect(keys.firstUse(key, client(0))).toBe(true);
  });
});
