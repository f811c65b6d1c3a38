/** A ChunkStore over any backend: gathers puts into batches, puts shards together, tells other tabs what changed. */
import * as protocol from '@unfed/protocol';
import type { ManifestHash, ShardEntry, ShardId } from '@unfed/protocol';
import { OutOfMemoryError } from './errors.ts';
import * as limits from './limits.ts';
import { sha256 } from './sha256.ts';
import type { KeyPrefix, StoreBackend, Write } from './store-backend.ts';
import { ChunksMissingError, StoreError } from './store-errors.ts';
import type { AssembleOptions, ChunkAddress, ChunkStore, PutResult, StoreChange, StoredModel } from './store.ts';

export interface StoreOptions {
  readonly capBytes?: number;
}

/** Carries changes between stores on the same medium. */
export interface StoreChannel {
  post(change: ChannelChange): void;
  onMessage(listener: (change: ChannelChange) => void): void;
  close(): void;
}

export interface ChannelChange {
  readonly manifest: ManifestHash;
  readonly what: StoreChange['what'];
  readonly usedBytes: number;
}

interface PendingPut {
  readonly write: Write;
  readonly resolve: (result: PutResult) => void;
  readonly reject: (error: unknown) => void;
}

export class BackedStore implements ChunkStore {
  capBytes: number;
  readonly #backend: StoreBackend;
  readonly #channel: StoreChannel | undefined;
  readonly #listeners = new Set<(change: StoreChange) => void>();
  readonly #pending: PendingPut[] = [];
  #writing: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(backend: StoreBackend, { capBytes = limits.storeCapBytes }: StoreOptions, channel?: StoreChannel) {
    this.capBytes = capBytes;
    this.#backend = backend;
    this.#channel = channel;
    channel?.onMessage(({ manifest, what, usedBytes }) => {
      backend.usedBytes = usedBytes;
      this.#tell({ manifest, what, elsewhere: true });
    });
  }

  get usedBytes(): number {
    return this.#backend.usedBytes;
  }

  async held(manifest: ManifestHash): Promise<ReadonlyMap<ShardId, readonly number[]>> {
    this.#checkOpen();
    const shards = new Map<ShardId, number[]>();
    for (const { part, index } of await this.#backend.list(manifest)) {
      if (isFile(part)) continue;
      const chunks = shards.get(part as ShardId) ?? [];
      shards.set(part as ShardId, chunks);
      chunks.push(index);
    }
    for (const chunks of shards.values()) chunks.sort((a, b) => a - b);
    return shards;
  }

  put({ manifest, shard, chunk }: ChunkAddress, bytes: Uint8Array<ArrayBuffer>): Promise<PutResult> {
    return this.#put({ manifest, part: shard, index: chunk, bytes });
  }

  async get(address: ChunkAddress, sha256?: Uint8Array): Promise<Uint8Array<ArrayBuffer> | undefined> {
    this.#checkOpen();
    const key = { manifest: address.manifest, part: address.shard, index: address.chunk };
    const read = await this.#backend.read(key);
    if (read === 'absent') return undefined;
    if (read !== 'damaged' && (sha256 === undefined || (await hasHash(read, sha256)))) return read;
    await this.#remove([key]);
    return undefined;
  }

  async assemble(
    manifest: ManifestHash,
    entry: ShardEntry,
    options: AssembleOptions = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    options.signal?.throwIfAborted();
    const held = new Set((await this.held(manifest)).get(entry.id));
    const missing = [...entry.chunks.keys()].filter((chunk) => !held.has(chunk));
    if (missing.length > 0) throw new ChunksMissingError(manifest, entry.id, missing);
    const bytes = allocate(entry);
    const wrong = await this.#fill(bytes, { manifest, entry, options });
    if (wrong.length === 0) return bytes;
    await this.#remove(wrong.map((index) => ({ manifest, part: entry.id, index })));
    throw new ChunksMissingError(manifest, entry.id, wrong);
  }

  /** Reads one chunk while the one before it is hashed in its place. @returns those that were not right */
  async #fill(
    bytes: Uint8Array<ArrayBuffer>,
    { manifest, entry, options }: { manifest: ManifestHash; entry: ShardEntry; options: AssembleOptions },
  ): Promise<number[]> {
    const wrong: number[] = [];
    let checking: Promise<void> = Promise.resolve();
    for (const [chunk, hash] of entry.chunks.entries()) {
      const { start, end } = protocol.chunkRange(entry, chunk);
      const reading = this.#backend.read({ manifest, part: entry.id, index: chunk });
      const [read] = await Promise.all([reading, checking]);
      options.signal?.throwIfAborted();
      if (typeof read === 'string' || read.byteLength !== end - start) {
        wrong.push(chunk);
        continue;
      }
      bytes.set(read, start);
      checking = hasHash(bytes.subarray(start, end), hash).then((right) => {
        if (right) options.onProgress?.(end - start);
        else wrong.push(chunk);
      });
    }
    await checking;
    return wrong.sort((a, b) => a - b);
  }

  putFile(manifest: ManifestHash, name: string, bytes: Uint8Array<ArrayBuffer>): Promise<PutResult> {
    return this.#put({ manifest, part: checkFileName(name), index: 0, bytes });
  }

  async getFile(manifest: ManifestHash, name: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    this.#checkOpen();
    const key = { manifest, part: checkFileName(name), index: 0 };
    const read = await this.#backend.read(key);
    if (read === 'damaged') await this.#remove([key]);
    return typeof read === 'string' ? undefined : read;
  }

  async drop(manifest: ManifestHash, shards?: readonly ShardId[]): Promise<void> {
    this.#checkOpen();
    await this.#remove(shards === undefined ? [{ manifest }] : shards.map((part) => ({ manifest, part })));
  }

  async models(): Promise<readonly StoredModel[]> {
    this.#checkOpen();
    const models = new Map<ManifestHash, { manifest: ManifestHash; bytes: number; shards: Map<ShardId, number> }>();
    for (const { manifest, part, bytes } of await this.#backend.list()) {
      const model = models.get(manifest) ?? { manifest, bytes: 0, shards: new Map<ShardId, number>() };
      models.set(manifest, model);
      model.bytes += bytes;
      if (!isFile(part)) model.shards.set(part as ShardId, (model.shards.get(part as ShardId) ?? 0) + bytes);
    }
    return [...models.values()];
  }

  onChange(listener: (change: StoreChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    await this.#writing;
    this.#channel?.close();
    await this.#backend.close();
  }

  async #put(write: Write): Promise<PutResult> {
    this.#checkOpen();
    return new Promise((resolve, reject) => {
      this.#pending.push({ write, resolve, reject });
      this.#writing ??= this.#writeAll();
    });
  }

  /** One batch at a time, so that the puts that come meanwhile fill the next. */
  async #writeAll(): Promise<void> {
    // Puts of one task belong together: the first one must not go alone.
    await Promise.resolve();
    while (this.#pending.length > 0) await this.#writeBatch(this.#pending.splice(0, limits.storeBatchChunksMax));
    this.#writing = undefined;
  }

  async #writeBatch(batch: readonly PendingPut[]): Promise<void> {
    try {
      const usedBefore = this.usedBytes;
      const fates = await this.#backend.write(
        batch.map(({ write }) => write),
        this.capBytes,
      );
      batch.forEach(({ resolve }, i) => resolve(fates[i] ?? 'full'));
      if (this.usedBytes !== usedBefore) {
        const stored = batch.filter((_, i) => fates[i] === 'stored').map(({ write }) => write.manifest);
        for (const manifest of new Set(stored)) this.#changed(manifest, 'stored');
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  async #remove(prefixes: readonly KeyPrefix[]): Promise<void> {
    await this.#backend.remove(prefixes);
    for (const manifest of new Set(prefixes.map((prefix) => prefix.manifest))) this.#changed(manifest, 'dropped');
  }

  #changed(manifest: ManifestHash, what: StoreChange['what']): void {
    if (this.#closed === undefined) this.#channel?.post({ manifest, what, usedBytes: this.usedBytes });
    this.#tell({ manifest, what, elsewhere: false });
  }

  #tell(change: StoreChange): void {
    for (const listener of this.#listeners) listener(change);
  }

  #checkOpen(): void {
    if (this.#closed !== undefined) throw new StoreError('chunk store', 'it was closed');
  }
}

const isFile = (part: string): boolean => part.includes('.');

function checkFileName(name: string): string {
  if (/^[a-z0-9][a-z0-9_-]*\.[a-z0-9]+$/.test(name)) return name;
  throw new protocol.InvalidValueError('name of a small file', 'lowercase letters, digits, _ and -, and one dot', name);
}

function allocate({ id, bytes }: ShardEntry): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(bytes);
  } catch (cause) {
    throw new OutOfMemoryError(id, bytes, { cause });
  }
}

async function hasHash(bytes: Uint8Array<ArrayBuffer>, expected: Uint8Array): Promise<boolean> {
  return protocol.bytesToHex(await sha256(bytes)) === protocol.bytesToHex(expected);
}
