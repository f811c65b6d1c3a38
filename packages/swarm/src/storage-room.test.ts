import { describe, expect, it } from 'vitest';
import { askToKeep, storageRoom } from './storage-room.ts';

const answer = (yes: boolean) => async () => yes;
const refuse = async (): Promise<never> => {
  throw new TypeError('not in this context');
};

describe('storage room', () => {
  it('says whether the browser keeps what is stored, and asks only when it does not yet', async () => {
    expect(await askToKeep({ persisted: answer(true), persist: refuse })).toBe('kept');
    expect(await askToKeep({ persisted: answer(false), persist: answer(true) })).toBe('kept');
    expect(await askToKeep({ persisted: answer(false), persist: answer(false) })).toBe('best-effort');
  });

  it('knows nothing where the browser does not say, and throws nothing', async () => {
    expect(await askToKeep({})).toBe('unknown');
    expect(await askToKeep({ persist: refuse })).toBe('unknown');
    expect(await storageRoom({})).toBeUndefined();
    expect(await storageRoom({ estimate: refuse })).toBeUndefined();
    expect(await storageRoom({ estimate: async () => ({ usage: 5 }) })).toBeUndefined();
  });

  it('gives what is used and what is allowed', async () => {
    expect(await storageRoom({ estimate: async () => ({ usage: 5, quota: 9 }) })).toEqual({
      usedBytes: 5,
      quotaBytes: 9,
    });
  });
});
