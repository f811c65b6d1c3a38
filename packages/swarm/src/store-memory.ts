/** A store that ends with its page or process: for tests, and for browsers that lend no disk. */
import type { ManifestHash } from '@unfed/protocol';
import { BackedStore, type StoreOptions } from './backed-store.ts';
import {
  hasPrefix,
  keyText,
  type EntryKey,
  type KeyPrefix,
  type ReadResult,
  type StoreBackend,
  type StoredEntry,
  type Write,
} from './store-backend.ts';
import type { ChunkStore, PutResult } from './store.ts';

export function memoryStore(options: StoreOptions = {}): ChunkStore {
  return new BackedStore(new MemoryBackend(), options);
}

class MemoryBackend implements StoreBackend {
  readonly #entries = new Map<string, Write>();
  usedBytes = 0;

  async write(writes: readonly Write[], capBytes: number): Promise<readonly PutResult[]> {
    return writes.map((write): PutResult => {
      if (this.#entries.has(keyText(write))) return 'stored';
      if (this.usedBytes + write.bytes.byteLength > capBytes) return 'full';
      this.#entries.set(keyText(write), { ...write, bytes: write.bytes.slice() });
      this.usedBytes += write.bytes.byteLength;
      return 'stored';
    });
  }

  async read(key: EntryKey): Promise<ReadResult> {
    return this.#entries.get(keyText(key))?.bytes.slice() ?? 'absent';
  }

  async list(manifest?: ManifestHash): Promise<readonly StoredEntry[]> {
    return [...this.#entries.values()]
      .filter((entry) => manifest === undefined || entry.manifest === manifest)
      .map((entry) => ({ ...entry, bytes: entry.bytes.byteLength }));
  }

  async remove(prefixes: readonly KeyPrefix[]): Promise<void> {
    for (const [text, entry] of this.#entries) {
      if (!prefixes.some((prefix) => hasPrefix(entry, prefix))) continue;
      this.#entries.delete(text);
      this.usedBytes -= entry.bytes.byteLength;
    }
  }

  async close(): Promise<void> {
    this.#entries.clear();
  }
}
