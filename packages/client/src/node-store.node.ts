/** Where a Node peer keeps chunks: in a folder of its own, or in memory until it ends. */
import { filesStore, memoryStore } from '@unfed/swarm/node';
import * as limits from './limits.ts';
import type { OpenedStore } from './platform.ts';

/** @throws StoreError when the folder can neither be made nor read */
export async function openNodeStore(folder: string | undefined): Promise<OpenedStore> {
  if (folder !== undefined) return { store: await filesStore({ folder }), durable: true, note: '' };
  return { store: memoryStore({ capBytes: limits.memoryStoreBytesMax }), durable: false, note: '' };
}
