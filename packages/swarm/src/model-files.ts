/**
 * Manifests and small files of models: from the store, else from the seed, and then kept. Where the seed does not answer,
 * peers give manifests too: with one a volunteer can begin, and the other files are for those who ask.
 */
import * as protocol from '@unfed/protocol';
import type { Manifest, ManifestFile, ManifestHash, PeerId } from '@unfed/protocol';
import { SourceError } from './errors.ts';
import type { ManifestPiece } from './exchange-frames.ts';
import * as limits from './limits.ts';
import type { PeerManifestOptions } from './peer-manifests.ts';
import { checkSha256 } from './sha256.ts';
import type { FetchedManifest, ManifestOptions, ShardSource, SourceOptions } from './shard-source.ts';
import type { ChunkStore } from './store.ts';
import { pause, type SwarmClock } from './swarm-clock.ts';

export interface ModelFilesParts {
  readonly store: ChunkStore;
  readonly seed: ShardSource;
  readonly clock: SwarmClock;
  /** Asks peers, where there may be some. @throws as ShardSource.manifest does */
  readonly manifestOfPeers?: (hash: ManifestHash, options: PeerManifestOptions) => Promise<FetchedManifest>;
}

export class ModelFiles {
  readonly #parts: ModelFilesParts;
  readonly #store: ChunkStore;
  readonly #hashes = new WeakMap<Manifest, ManifestHash>();

  constructor(parts: ModelFilesParts) {
    this.#parts = parts;
    this.#store = parts.store;
  }

  /** @throws as ShardSource.manifest does */
  async manifest(hash: ManifestHash, options: ManifestOptions): Promise<FetchedManifest> {
    options.signal?.throwIfAborted();
    const kept = await this.kept(hash, options.publisher);
    if (kept !== undefined) return kept;
    const came = await this.#fetch(hash, options);
    this.#hashes.set(came.manifest, hash);
    await this.#keep(hash, protocol.manifestFileName, came.bytes);
    if (came.signature !== undefined) await this.#keep(hash, protocol.manifestSignatureFileName, came.signature);
    return came;
  }

  /** What an earlier session kept; where a publisher is named, with its signature or not at all. */
  async kept(hash: ManifestHash, publisher?: PeerId): Promise<FetchedManifest | undefined> {
    try {
      const bytes = await this.#store.getFile(hash, protocol.manifestFileName);
      if (bytes === undefined) return undefined;
      const manifest = protocol.decodeManifest(bytes, hash);
      this.#hashes.set(manifest, hash);
      if (publisher === undefined) return { manifest, bytes };
      const signature = await this.#store.getFile(hash, protocol.manifestSignatureFileName);
      if (signature === undefined) return undefined;
      protocol.verifyManifestSignature(hash, signature, publisher);
      return { manifest, bytes, signature };
    } catch {
      // Damaged, signed by somebody else, or the store fails: it is fetched again.
      return undefined;
    }
  }

  /** For a peer that asks. @returns undefined where it is not kept @throws StoreError */
  read(hash: ManifestHash, piece: ManifestPiece): Promise<Uint8Array | undefined> {
    const names = { manifest: protocol.manifestFileName, signature: protocol.manifestSignatureFileName };
    return this.#store.getFile(hash, names[piece]);
  }

  /** @throws as ShardSource.file does */
  async file(manifest: Manifest, file: ManifestFile, options: SourceOptions): Promise<Uint8Array> {
    options.signal?.throwIfAborted();
    const hash = this.hashOf(manifest);
    const name = protocol.manifestFileNames[file];
    const entry = manifest[file];
    const kept = await this.#store.getFile(hash, name).catch(() => undefined);
    if (kept !== undefined && entry !== null) {
      // A damaged file is fetched again, like one that is not there.
      const isGood = await checkSha256(name, kept, entry.sha256).then(
        () => true,
        () => false,
      );
      if (isGood) return kept;
    }
    const bytes = await this.#parts.seed.file(manifest, file, options);
    await this.#keep(hash, name, bytes);
    return bytes;
  }

  /** Without it, what the store holds of a model is of no use in the next session. */
  async keepManifest(hash: ManifestHash, manifest: Manifest): Promise<void> {
    await this.#keep(hash, protocol.manifestFileName, protocol.encodeManifest(manifest));
  }

  /** Manifests are canonical, so that one from elsewhere has its hash too. */
  hashOf(manifest: Manifest): ManifestHash {
    const hash = this.#hashes.get(manifest) ?? protocol.hashManifest(protocol.encodeManifest(manifest));
    this.#hashes.set(manifest, hash);
    return hash;
  }

  /** The seed's, or a peer's where the seed has failed or is slow. @throws as ShardSource.manifest does */
  async #fetch(hash: ManifestHash, options: ManifestOptions): Promise<FetchedManifest> {
    const { seed, clock, manifestOfPeers } = this.#parts;
    if (manifestOfPeers === undefined) return seed.manifest(hash, options);
    const abort = new AbortController();
    const onAbort = (): void => abort.abort(options.signal?.reason);
    options.signal?.addEventListener('abort', onAbort, { once: true });
    const { signal } = abort;
    try {
      const ofSeed = seed.manifest(hash, { ...options, signal });
      const isSoon = ofSeed.then(
        () => true,
        () => false,
      );
      const isLate = pause(clock, limits.manifestPatienceMs, signal).then(() => false);
      isLate.catch(() => undefined);
      if (await Promise.race([isSoon, isLate])) return await ofSeed;
      return await Promise.any([ofSeed, manifestOfPeers(hash, { ...options, signal })]);
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!(error instanceof AggregateError)) throw error;
      const [ofSeed, ofPeers] = error.errors as [unknown, unknown];
      // That no peer has it says less than why the seed does not give it; that it is not signed says more.
      throw ofPeers instanceof SourceError ? ofSeed : ofPeers;
    } finally {
      options.signal?.removeEventListener('abort', onAbort);
      abort.abort(new Error('it came from elsewhere'));
    }
  }

  /** A file that finds no room is fetched again the next time. */
  async #keep(hash: ManifestHash, name: string, bytes: Uint8Array): Promise<void> {
    await this.#store.putFile(hash, name, new Uint8Array(bytes)).catch(() => undefined);
  }
}
