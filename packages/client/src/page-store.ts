/** Where a page keeps chunks: in IndexedDB, which all its tabs share; in memory where the browser lends no disk. */
import { bytesText, idbStore, memoryStore } from '@unfed/swarm';
import * as limits from './limits.ts';
import type { OpenedStore } from './platform.ts';

export async function openPageStore(): Promise<OpenedStore> {
  try {
    return { store: await idbStore(), durable: true, note: '' };
  } catch {
    const most = bytesText(limits.memoryStoreBytesMax);
    const note = `This browser lends no disk here: pieces are kept in memory, ${most} at most, until the page is closed.`;
    return { store: memoryStore({ capBytes: limits.memoryStoreBytesMax }), durable: false, note };
  }
}
