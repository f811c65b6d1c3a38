/** What a store needs of the medium it writes to: entries under three-part keys, counted in bytes. */
import type { ManifestHash } from '@unfed/protocol';
import type { PutResult } from './store.ts';

/** A chunk is `[model, shard id, index]`; a small file is `[model, file name, 0]`: names of files have a dot. */
export interface EntryKey {
  readonly manifest: ManifestHash;
  readonly part: string;
  readonly index: number;
}

/** All of a model, one part of it, or one entry. */
export interface KeyPrefix {
  readonly manifest: ManifestHash;
  readonly part?: string;
  readonly index?: number;
}

export interface StoredEntry extends EntryKey {
  readonly bytes: number;
}

export interface Write extends EntryKey {
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** absent: there is no such entry; damaged: there is one, and it cannot be read whole. */
export type ReadResult = Uint8Array<ArrayBuffer> | 'absent' | 'damaged';

export interface StoreBackend {
  /** As of the last call; set by the store when it hears from another tab. */
  usedBytes: number;
  /**
   * @returns the fate of each write, in order: durable against the end of this process, or not written and nothing
   *   else lost. What is there already is stored and not written again.
   */
  write(writes: readonly Write[], capBytes: number): Promise<readonly PutResult[]>;
  read(key: EntryKey): Promise<ReadResult>;
  /** @param manifest all models' entries when absent */
  list(manifest?: ManifestHash): Promise<readonly StoredEntry[]>;
  remove(prefixes: readonly KeyPrefix[]): Promise<void>;
  close(): Promise<void>;
}

/** Text for maps and messages. */
export function keyText({ manifest, part, index }: EntryKey): string {
  return `${manifest}/${part}/${index}`;
}

export function hasPrefix(key: EntryKey, { manifest, part, index }: KeyPrefix): boolean {
  return (
    key.manifest === manifest &&
    (part === undefined || key.part === part) &&
    (index === undefined || key.index === index)
  );
}
