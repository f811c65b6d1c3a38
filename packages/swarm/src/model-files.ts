/** Manifests and small files of models: from the store, else from the seed, and then kept. */
import * as protocol from '@unfed/protocol';
import type { Manifest, ManifestFile, ManifestHash, PeerId } from '@unfed/protocol';
import { checkSha256 } from './sha256.ts';
import type { FetchedManifest, ManifestOptions, ShardSource, SourceOptions } from './shard-source.ts';
import type { ChunkStore } from './store.ts';

export class ModelFiles {
  readonly #store: ChunkStore;
  readonly #seed: ShardSource;
  readonly #hashes = new WeakMap<Manifest, ManifestHash>();

  constructor(store: ChunkStore, seed: ShardSource) {
    this.#store = store;
    this.#seed = seed;
  }

  /** @throws as ShardSource.manifest does */
  async manifest(hash: ManifestHash, options: ManifestOptions): Promise<FetchedManifest> {
    options.signal?.throwIfAborted();
    const kept = await this.kept(hash, options.publisher);
    if (kept !== undefined) return kept;
    const came = await this.#seed.manifest(hash, options);
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
    const bytes = await this.#seed.file(manifest, file, options);
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

  /** A file that finds no room is fetched again the next time. */
  async #keep(hash: ManifestHash, name: string, bytes: Uint8Array): Promise<void> {
    await this.#store.putFile(hash, name, new Uint8Array(bytes)).catch(() => undefined);
  }
}
