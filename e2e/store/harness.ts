/** Chunk stores in a tab, driven by e2e/store.spec.ts through `window.storeTab`. */
import { layerShard, type ShardEntry } from '@unfed/protocol';
import {
  askToKeep,
  idbStore,
  memoryStore,
  storageRoom,
  type ChunkStore,
  type PutResult,
  type StoreChange,
} from '@unfed/swarm';
import * as suite from '../../packages/swarm/src/store.suite.ts';

const shard = layerShard(0);
const manifest = suite.modelA;
const chunkBytes = 1 << 20;

/** One address's entry, read and written behind the store's back. */
function rawEntry(
  name: string,
  prefix: IDBValidKey[],
  change: (store: IDBObjectStore, key: IDBValidKey) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(name);
    opening.onerror = () => reject(new Error('expected a database, came none'));
    opening.onsuccess = () => {
      const database = opening.result;
      const transaction = database.transaction('entries', 'readwrite');
      const entries = transaction.objectStore('entries');
      const finding = entries.getKey(IDBKeyRange.bound(prefix, [...prefix, []]));
      finding.onsuccess = () => {
        if (finding.result !== undefined) change(entries, finding.result);
      };
      transaction.oncomplete = () => {
        database.close();
        resolve();
      };
    };
  });
}

function medium(name: string): suite.StoreMedium {
  return {
    open: (options) => idbStore({ ...options, name }),
    damage: (address, bytes) =>
      rawEntry(name, [address.manifest, address.shard, address.chunk], (entries, key) => {
        entries.put(new Blob([bytes ?? new Uint8Array()]), key);
      }),
  };
}

export class StoreTab {
  readonly changes: StoreChange[] = [];
  #store: ChunkStore | undefined;

  caseNames(): string[] {
    return suite.chunkStoreSuite.map(({ name }) => name);
  }

  /** @throws when the case's rule is broken */
  async runCase(caseName: string): Promise<void> {
    const found = suite.chunkStoreSuite.find((candidate) => candidate.name === caseName);
    if (found === undefined) throw new Error(`expected a case, came ${caseName}`);
    await found.run(medium(`case ${caseName}`));
  }

  get store(): ChunkStore {
    if (this.#store === undefined) throw new Error('open() first');
    return this.#store;
  }

  async open(capBytes: number): Promise<number> {
    this.#store = await idbStore({ name: 'shared', capBytes });
    this.#store.onChange((change) => this.changes.push(change));
    return this.#store.usedBytes;
  }

  /** Puts chunks `[first, last)` of 1 MiB at once. */
  putAll(first: number, last: number): Promise<PutResult[]> {
    const puts = Array.from({ length: last - first }, (_, i) => this.#put(first + i));
    return Promise.all(puts);
  }

  /** Puts one after the other until the page ends, and says so to nobody. */
  putForever(chunks: number): void {
    void this.putAll(0, chunks);
  }

  #put(chunk: number): Promise<PutResult> {
    return this.store.put({ manifest, shard, chunk }, chunkOf(chunk));
  }

  async held(): Promise<readonly number[]> {
    return (await this.store.held(manifest)).get(shard) ?? [];
  }

  async storedBytes(): Promise<number> {
    return (await this.store.models()).reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** @returns which of the chunks held are not what was put */
  async wrong(): Promise<number[]> {
    const wrong: number[] = [];
    for (const chunk of await this.held()) {
      const [came, put] = [await this.store.get({ manifest, shard, chunk }), chunkOf(chunk)];
      if (came?.byteLength !== put.byteLength || came.some((byte, i) => byte !== put[i])) wrong.push(chunk);
    }
    return wrong;
  }

  keep(): Promise<string> {
    return askToKeep();
  }

  async quotaBytes(): Promise<number> {
    return (await storageRoom())?.quotaBytes ?? 0;
  }

  drop(): Promise<void> {
    return this.store.drop(manifest);
  }

  /** Puts a shard of so many chunks together. @returns how many chunks were read from Blobs at the same time, at most */
  async readsAtOnce(chunks: number): Promise<number> {
    const hashes = Array.from({ length: chunks }, (_, i) => crypto.subtle.digest('SHA-256', chunkOf(i)));
    const entry = {
      id: shard,
      bytes: chunks * chunkBytes,
      chunks: (await Promise.all(hashes)).map((hash) => new Uint8Array(hash)),
    };
    const read = Blob.prototype.arrayBuffer;
    let [reading, most] = [0, 0];
    Blob.prototype.arrayBuffer = async function (this: Blob) {
      most = Math.max(most, ++reading);
      return read.call(this).finally(() => reading--);
    };
    try {
      await this.store.assemble(manifest, entry);
      return most;
    } finally {
      Blob.prototype.arrayBuffer = read;
    }
  }

  /** MB/s of writing and of assembling a shard of so many chunks, and of hashing it alone. */
  async measure(chunks: number, kind: 'idb' | 'memory'): Promise<{ write: number; assemble: number; get: number }> {
    const store = kind === 'idb' ? await idbStore({ name: `measure ${Math.random()}` }) : memoryStore();
    const parts = Array.from({ length: chunks }, (_, chunk) => chunkOf(chunk));
    const hashes = await Promise.all(parts.map((part) => crypto.subtle.digest('SHA-256', part)));
    const entry: ShardEntry = {
      id: shard,
      bytes: chunks * chunkBytes,
      chunks: hashes.map((hash) => new Uint8Array(hash)),
    };
    const rate = async (work: () => Promise<unknown>): Promise<number> => {
      const startMs = performance.now();
      await work();
      return (chunks * chunkBytes) / 1e3 / (performance.now() - startMs);
    };
    const write = await rate(() =>
      Promise.all(parts.map((part, chunk) => store.put({ manifest, shard, chunk }, part))),
    );
    const assemble = await rate(() => store.assemble(manifest, entry));
    const get = await rate(() => Promise.all(parts.map((_, chunk) => store.get({ manifest, shard, chunk }))));
    await store.drop(manifest);
    await store.close();
    return { write, assemble, get };
  }
}

/** 1 MiB that only this chunk has, cheap to make: its number in every word, and a count. */
function chunkOf(chunk: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(chunkBytes / 4);
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + 1, 2654435761) ^ (chunk << 8);
  return new Uint8Array(words.buffer);
}

declare global {
  interface Window {
    storeTab: StoreTab;
  }
}
window.storeTab = new StoreTab();
