import { expect, it } from 'vitest';
import * as limits from './limits.ts';
import { openPageStore } from './page-store.ts';

it('a page without IndexedDB keeps pieces in memory, and says how much of it', async () => {
  const { store, durable, note } = await openPageStore();
  expect([durable, store.capBytes]).toEqual([false, limits.memoryStoreBytesMax]);
  expect(note).toMatch(/kept in memory, 512 MiB at most/);
  await store.close();
});
