/**
 * Chunks in IndexedDB, as Blobs in batches. Tabs of one browser share it: what is used is counted inside the
 * transaction that writes, so two tabs never count past each other, and a tab that dies mid-batch leaves no half.
 */
import { errorText, type ManifestHash } from '@unfed/protocol';
import { openDB, type DBSchema, type IDBPDatabase, type IDBPTransaction } from 'idb';
import { BackedStore, type ChannelChange, type StoreChannel, type StoreOptions } from './backed-store.ts';
import type { EntryKey, KeyPrefix, ReadResult, StoreBackend, StoredEntry, Write } from './store-backend.ts';
import { StoreError } from './store-errors.ts';
import type { ChunkStore, PutResult } from './store.ts';

export interface IdbStoreOptions extends StoreOptions {
  /** Of the database: stores of one name share it. */
  readonly name?: string;
}

/** The length stands in the key, so that counting reads no Blob. */
type Key = [manifest: string, part: string, index: number, bytes: number];

interface Schema extends DBSchema {
  entries: { key: Key; value: Blob };
  totals: { key: 'usedBytes'; value: number };
}

const version = 1;

/** @throws StoreError where the browser lends no storage, as some do in private windows: use memoryStore there */
export async function idbStore({ name = 'unfed-chunks', ...options }: IdbStoreOptions = {}): Promise<ChunkStore> {
  const backend = new IdbBackend(name);
  await backend.start();
  return new BackedStore(backend, options, new TabChannel(name));
}

/** IndexedDB sorts arrays after numbers and strings, so that `[]` ends a range of keys that begin alike. */
function rangeOf({ manifest, part, index }: KeyPrefix): IDBKeyRange {
  const prefix = [manifest, ...(part === undefined ? [] : [part]), ...(index === undefined ? [] : [index])];
  return IDBKeyRange.bound(prefix, [...prefix, []]);
}

class IdbBackend implements StoreBackend {
  readonly #name: string;
  #database: Promise<IDBPDatabase<Schema>> | undefined;
  usedBytes = 0;

  constructor(name: string) {
    this.#name = name;
  }

  async start(): Promise<void> {
    await this.#run(async () => undefined);
  }

  async write(writes: readonly Write[], capBytes: number): Promise<readonly PutResult[]> {
    const together = await this.#writeTogether(writes, capBytes);
    if (together !== 'quota') return together;
    // All of the batch is gone with its transaction: what fits goes in alone, until one does not.
    const results: PutResult[] = [];
    let fullBytes = Number.POSITIVE_INFINITY;
    for (const write of writes) {
      const hopeless = write.bytes.byteLength >= fullBytes;
      const alone = hopeless || writes.length === 1 ? 'quota' : await this.#writeTogether([write], capBytes);
      if (alone === 'quota') fullBytes = Math.min(fullBytes, write.bytes.byteLength);
      results.push(alone === 'quota' ? 'full' : (alone[0] ?? 'full'));
    }
    return results;
  }

  async read(key: EntryKey): Promise<ReadResult> {
    return this.#run(async (database) => {
      const blob = await database.get('entries', rangeOf(key));
      if (blob === undefined) return 'absent';
      try {
        return new Uint8Array(await blob.arrayBuffer());
      } catch {
        return 'damaged';
      }
    });
  }

  async list(manifest?: ManifestHash): Promise<readonly StoredEntry[]> {
    const range = manifest === undefined ? undefined : rangeOf({ manifest });
    const keys = await this.#run((database) => database.getAllKeys('entries', range));
    return keys.map(([model, part, index, bytes]) => ({ manifest: model as ManifestHash, part, index, bytes }));
  }

  async remove(prefixes: readonly KeyPrefix[]): Promise<void> {
    await this.#run(async (database) => {
      const transaction = database.transaction(['entries', 'totals'], 'readwrite', { durability: 'relaxed' });
      const remove = async (): Promise<void> => {
        const [entries, totals] = [transaction.objectStore('entries'), transaction.objectStore('totals')];
        let used = (await totals.get('usedBytes')) ?? 0;
        for (const range of prefixes.map(rangeOf)) {
          for (const [, , , bytes] of await entries.getAllKeys(range)) used -= bytes;
          await entries.delete(range);
        }
        await totals.put(used, 'usedBytes');
        this.usedBytes = used;
      };
      await finish(transaction, remove());
    });
  }

  async close(): Promise<void> {
    const database = await this.#database?.catch(() => undefined);
    database?.close();
  }

  /** One transaction. @returns quota when the browser undid it for lack of room */
  async #writeTogether(writes: readonly Write[], capBytes: number): Promise<readonly PutResult[] | 'quota'> {
    return this.#run(async (database) => {
      const transaction = database.transaction(['entries', 'totals'], 'readwrite', { durability: 'relaxed' });
      const put = async (): Promise<{ used: number; results: PutResult[] }> => {
        const [entries, totals] = [transaction.objectStore('entries'), transaction.objectStore('totals')];
        const known = writes.map((write) => entries.getKey(rangeOf(write)));
        const [before, ...keys] = await Promise.all([totals.get('usedBytes'), ...known]);
        const plan = planWrites(writes, { held: keys, usedBytes: before ?? 0, capBytes });
        await Promise.all([
          ...plan.fresh.map(({ bytes, ...key }) =>
            entries.put(new Blob([bytes]), [key.manifest, key.part, key.index, bytes.byteLength]),
          ),
          totals.put(plan.usedBytes, 'usedBytes'),
        ]);
        return { used: plan.usedBytes, results: plan.results };
      };
      try {
        const { used, results } = await finish(transaction, put());
        this.usedBytes = used;
        return results;
      } catch (error) {
        if (isQuota(error)) return 'quota';
        throw error;
      }
    });
  }

  /**
   * Once more when the connection was closed under it; all work here may be done twice.
   * @throws StoreError for whatever the database throws
   */
  async #run<T>(work: (database: IDBPDatabase<Schema>) => Promise<T>, again = false): Promise<T> {
    try {
      this.#database ??= this.#open();
      return await work(await this.#database);
    } catch (cause) {
      this.#forget();
      if (!again && isClosed(cause)) return this.#run(work, true);
      throw new StoreError(`database ${this.#name}`, errorText(cause), { cause });
    }
  }

  /** What comes next opens the database anew: the browser closes it when a person clears the site's data. */
  #forget(): void {
    const broken = this.#database;
    this.#database = undefined;
    broken?.then((database) => database.close()).catch(() => undefined);
  }

  async #open(): Promise<IDBPDatabase<Schema>> {
    const database = await openDB<Schema>(this.#name, version, {
      upgrade: (database) => {
        database.createObjectStore('entries');
        database.createObjectStore('totals');
      },
      // A newer page waits for this one to let go; this one's next call then fails and says why.
      blocking: () => this.#forget(),
      terminated: () => this.#forget(),
    });
    this.usedBytes = (await database.get('totals', 'usedBytes')) ?? 0;
    return database;
  }
}

type Transaction = Pick<IDBPTransaction<Schema, ['entries', 'totals'], 'readwrite'>, 'done' | 'abort'>;

/**
 * A put that succeeded is nothing yet: only the transaction's end says whether it stays. Work that fails undoes all of
 * it.
 * @throws what the work threw, because the transaction may only know that it was aborted
 */
async function finish<T>(transaction: Transaction, work: Promise<T>): Promise<T> {
  work.catch(() => {
    try {
      transaction.abort();
    } catch {
      // It was undone already.
    }
  });
  const [result, end] = await Promise.allSettled([work, transaction.done]);
  if (result.status === 'rejected') throw result.reason;
  if (end.status === 'rejected') throw end.reason;
  return result.value;
}

interface WriteRoom {
  /** For each write the key that is there already. */
  readonly held: readonly (Key | undefined)[];
  readonly usedBytes: number;
  readonly capBytes: number;
}

function planWrites(writes: readonly Write[], { held, usedBytes, capBytes }: WriteRoom) {
  const fresh: Write[] = [];
  const planned = new Set<string>();
  let used = usedBytes;
  const results = writes.map((write, i): PutResult => {
    const name = `${write.manifest}/${write.part}/${write.index}`;
    if (held[i] !== undefined || planned.has(name)) return 'stored';
    if (used + write.bytes.byteLength > capBytes) return 'full';
    used += write.bytes.byteLength;
    planned.add(name);
    fresh.push(write);
    return 'stored';
  });
  return { fresh, results, usedBytes: used };
}

const isNamed = (error: unknown, names: readonly string[]): boolean =>
  error instanceof Error && names.includes(error.name);
const isQuota = (error: unknown): boolean => isNamed(error, ['QuotaExceededError']);
/** The browser closes databases under their users, when a person clears the site's data or a disk fails. */
const isClosed = (error: unknown): boolean => isNamed(error, ['InvalidStateError', 'AbortError']);

/** What changed, told to the other tabs of this store. */
class TabChannel implements StoreChannel {
  readonly #channel: BroadcastChannel;

  constructor(name: string) {
    this.#channel = new BroadcastChannel(`unfed-store/${version}/${name}`);
  }

  post(change: ChannelChange): void {
    this.#channel.postMessage(change);
  }

  onMessage(listener: (change: ChannelChange) => void): void {
    // Only pages of this origin and this version can speak here.
    this.#channel.addEventListener('message', ({ data }: MessageEvent<ChannelChange>) => listener(data));
  }

  close(): void {
    this.#channel.close();
  }
}
