/** Stores a chunk, where there is no room after dropping what is wanted less. */
import type { ChunkAddress, ChunkStore, PutResult } from './store.ts';

/** @param makeRoom drops what is worth less, and says whether it dropped anything */
export async function putOrMakeRoom(
  { store, makeRoom }: { store: ChunkStore; makeRoom: (bytes: number) => Promise<boolean> },
  address: ChunkAddress,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<PutResult> {
  try {
    const first = await store.put(address, bytes);
    if (first === 'stored' || !(await makeRoom(bytes.byteLength))) return first;
    return await store.put(address, bytes);
  } catch {
    // A store that fails is as good as a full one: the answer goes on from memory.
    return 'full';
  }
}
