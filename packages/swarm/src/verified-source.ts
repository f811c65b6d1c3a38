/** Turns a reader of raw files into a ShardSource: every chunk is hashed as it comes, and fetched again when wrong. */
import * as protocol from '@unfed/protocol';
import type { Manifest, ManifestFile, ManifestHash, PeerId, ShardEntry, ShardId } from '@unfed/protocol';
import { OutOfMemoryError, SourceError, UnsignedManifestError } from './errors.ts';
import { retrying, type RetryLimits } from './retry.ts';
import { checkSha256 } from './sha256.ts';
import type { FetchedManifest, ManifestOptions, ShardOptions, ShardSource, SourceOptions } from './shard-source.ts';

export interface RawRead {
  /** `<manifest hash>/<file>`. */
  readonly path: string;
  /** The first byte to read. */
  readonly start: number;
  /** One past the last byte of the file; absent where its length is not known. */
  readonly end?: number;
  /** One past the last byte that is wanted; the end of the file when absent. */
  readonly until?: number;
  /** A try after a failure: caches on the way are not to be asked. */
  readonly again: boolean;
  readonly signal: AbortSignal | undefined;
}

export interface RawFiles {
  /** The bytes of a file from `start` on, in parts of any size, unverified. @throws SourceError */
  read(read: RawRead): AsyncIterable<Uint8Array>;
}

export function verifiedSource(files: RawFiles, retryLimits: RetryLimits): ShardSource {
  return new VerifiedSource(files, retryLimits);
}

class VerifiedSource implements ShardSource {
  readonly #files: RawFiles;
  readonly #retryLimits: RetryLimits;
  readonly #hashes = new WeakMap<Manifest, ManifestHash>();

  constructor(files: RawFiles, retryLimits: RetryLimits) {
    this.#files = files;
    this.#retryLimits = retryLimits;
  }

  async manifest(hash: ManifestHash, { signal, publisher }: ManifestOptions = {}): Promise<FetchedManifest> {
    const path = `${hash}/${protocol.manifestFileName}`;
    return this.#retrying(signal, async (again) => {
      const bytesMax = protocol.limits.manifestBytesMax;
      const bytes = await collect(this.#files.read({ path, start: 0, again, signal }), { path, bytesMax });
      const manifest = protocol.decodeManifest(bytes, hash);
      this.#hashes.set(manifest, hash);
      if (publisher === undefined) return { manifest, bytes };
      return { manifest, bytes, signature: await this.#signature(hash, publisher, { again, signal }) };
    });
  }

  async #signature(
    hash: ManifestHash,
    publisher: PeerId,
    how: Pick<RawRead, 'again' | 'signal'>,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const path = `${hash}/${protocol.manifestSignatureFileName}`;
    try {
      const parts = this.#files.read({ path, start: 0, ...how });
      const signature = await collect(parts, { path, bytesMax: protocol.manifestSignatureBytes });
      protocol.verifyManifestSignature(hash, signature, publisher);
      return signature;
    } catch (error) {
      const isMissing = error instanceof SourceError && error.failure === 'not-found';
      throw isMissing ? new UnsignedManifestError(hash, publisher, { cause: error }) : error;
    }
  }

  async file(manifest: Manifest, file: ManifestFile, { signal }: SourceOptions = {}): Promise<Uint8Array> {
    const entry = manifest[file];
    if (entry === null) {
      throw new protocol.InvalidValueError(`${file} of ${manifest.name}`, 'a file in the manifest', 'none');
    }
    const path = `${this.#hashOf(manifest)}/${protocol.manifestFileNames[file]}`;
    return this.#retrying(signal, async (again) => {
      const parts = this.#files.read({ path, start: 0, end: entry.bytes, again, signal });
      const bytes = await collect(parts, { path, bytesMax: entry.bytes });
      if (bytes.length < entry.bytes) throw tooShort(path, entry.bytes, bytes.length);
      await checkSha256(path, bytes, entry.sha256);
      return bytes;
    });
  }

  async shard(manifest: Manifest, id: ShardId, { signal, onProgress }: ShardOptions = {}): Promise<Uint8Array> {
    const entry = protocol.shardEntry(manifest, id);
    const path = `${this.#hashOf(manifest)}/${protocol.shardFileName(id)}`;
    signal?.throwIfAborted();
    const filler = new ShardFiller(path, entry, onProgress ?? (() => undefined));
    const attempt = async (again: boolean): Promise<void> => {
      const start = filler.restart();
      try {
        for await (const part of this.#files.read({ path, start, end: entry.bytes, again, signal })) {
          await filler.add(part);
        }
      } finally {
        await filler.settle();
      }
      await filler.finish();
    };
    await retrying(attempt, () => filler.verifiedBytes, { limits: this.#retryLimits, signal });
    return filler.bytes;
  }

  /** Manifests are canonical, so that one from elsewhere has its hash too. */
  #hashOf(manifest: Manifest): ManifestHash {
    const hash = this.#hashes.get(manifest) ?? protocol.hashManifest(protocol.encodeManifest(manifest));
    this.#hashes.set(manifest, hash);
    return hash;
  }

  #retrying<T>(signal: AbortSignal | undefined, attempt: (again: boolean) => Promise<T>): Promise<T> {
    return retrying(attempt, () => 0, { limits: this.#retryLimits, signal });
  }
}

function tooShort(path: string, expected: number, came: number): SourceError {
  const detail = `expected ${expected} bytes, came ${came}; the file is cut off or the connection broke`;
  return new SourceError({ failure: 'too-short', path, transient: true }, detail);
}

function tooLong(path: string, bytesMax: number): SourceError {
  const detail = `expected at most ${bytesMax} bytes, came more; it is another file than the manifest's`;
  return new SourceError({ failure: 'too-long', path, transient: false }, detail);
}

/** The whole of something small. @throws SourceError too-long */
export async function collect(
  parts: AsyncIterable<Uint8Array>,
  { path, bytesMax }: { path: string; bytesMax: number },
): Promise<Uint8Array<ArrayBuffer>> {
  const held: Uint8Array[] = [];
  let length = 0;
  for await (const part of parts) {
    length += part.byteLength;
    if (length > bytesMax) throw tooLong(path, bytesMax);
    held.push(part);
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const part of held) {
    bytes.set(part, offset);
    offset += part.byteLength;
  }
  return bytes;
}

function allocate(what: string, bytes: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(bytes);
  } catch (cause) {
    throw new OutOfMemoryError(what, bytes, { cause });
  }
}

/** Fills a shard in order. A chunk is hashed while the next one comes; what was not verified is fetched again. */
class ShardFiller {
  readonly bytes: Uint8Array<ArrayBuffer>;
  verifiedBytes = 0;
  readonly #path: string;
  readonly #entry: ShardEntry;
  readonly #onProgress: (bytes: number) => void;
  #filled = 0;
  #checking: Promise<void> = Promise.resolve();

  constructor(path: string, entry: ShardEntry, onProgress: (bytes: number) => void) {
    this.#path = path;
    this.#entry = entry;
    this.#onProgress = onProgress;
    this.bytes = allocate(path, entry.bytes);
  }

  /** @returns the first byte that is still needed */
  restart(): number {
    this.#filled = this.verifiedBytes;
    this.#checking = Promise.resolve();
    return this.verifiedBytes;
  }

  async add(part: Uint8Array): Promise<void> {
    if (this.#filled + part.byteLength > this.#entry.bytes) throw tooLong(this.#path, this.#entry.bytes);
    for (let offset = 0; offset < part.byteLength;) {
      const index = Math.floor(this.#filled / protocol.limits.chunkBytes);
      const { end } = protocol.chunkRange(this.#entry, index);
      const taken = part.subarray(offset, offset + end - this.#filled);
      this.bytes.set(taken, this.#filled);
      this.#filled += taken.byteLength;
      offset += taken.byteLength;
      if (this.#filled === end) await this.#check(index);
    }
  }

  /** Waits for the hash that is being computed: a chunk that was right counts, however the reading ended. */
  async settle(): Promise<void> {
    await this.#checking.catch(() => undefined);
  }

  async finish(): Promise<void> {
    await this.#checking;
    if (this.verifiedBytes < this.#entry.bytes) throw tooShort(this.#path, this.#entry.bytes, this.#filled);
  }

  async #check(index: number): Promise<void> {
    await this.#checking;
    this.#checking = this.#verify(index);
    // Whoever adds or finishes next sees the failure; until then it is not an unhandled one.
    this.#checking.catch(() => undefined);
  }

  async #verify(index: number): Promise<void> {
    const { start, end } = protocol.chunkRange(this.#entry, index);
    const expected = this.#entry.chunks[index] ?? new Uint8Array();
    await checkSha256(`chunk ${index} of ${this.#path}`, this.bytes.subarray(start, end), expected);
    this.verifiedBytes = end;
    this.#onProgress(end - start);
  }
}
