/** The models that the relay serves as a web seed: finished folders named by their manifest's hash, and their files. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as protocol from '@unfed/protocol';
import type { Manifest, ManifestHash, PeerId } from '@unfed/protocol';
import * as limits from './limits.ts';

interface Model {
  readonly name: string;
  /** Bytes by file name, as the manifest says. */
  readonly files: ReadonlyMap<string, number>;
}

export interface ModelsOptions {
  /** Only models that it signed are listed and served; all when absent. */
  readonly publisher?: PeerId | undefined;
  /** Hears once of a folder that has the name of a model and is none, or is not signed. */
  readonly onRefused: (folder: string, error: unknown) => void;
}

/** A model as `/relay.json` lists it. */
export interface ListedModel {
  readonly manifest: ManifestHash;
  readonly name: string;
  /** Whoever asks for its manifest should ask for this one's signature, too. */
  readonly publisher?: PeerId;
}

export class Models {
  readonly folder: string;
  readonly #options: ModelsOptions;
  readonly #models = new Map<ManifestHash, Model>();
  readonly #refused = new Set<string>();
  readonly #unsigned = new Set<string>();
  #scannedAtMs = -Infinity;
  #scanning: Promise<void> | undefined;

  constructor(folder: string, options: ModelsOptions) {
    this.folder = folder;
    this.#options = options;
  }

  async list(): Promise<ListedModel[]> {
    await this.#scan();
    const { publisher } = this.#options;
    const signed = publisher === undefined ? {} : { publisher };
    return [...this.#models].map(([manifest, { name }]) => ({ manifest, name, ...signed }));
  }

  /** @returns the file's length by the manifest; undefined where there is no such model or file */
  async fileBytes(hash: string, file: string): Promise<number | undefined> {
    const known = this.#models.get(hash as ManifestHash);
    if (known === undefined) await this.#scan();
    const model = known ?? this.#models.get(hash as ManifestHash);
    if (model !== undefined && file === protocol.manifestSignatureFileName) return this.#signatureBytes(hash);
    return model?.files.get(file);
  }

  /** Outside of what is hashed: a publisher may sign while the relay runs. */
  async #signatureBytes(hash: string): Promise<number | undefined> {
    const path = join(this.folder, hash, protocol.manifestSignatureFileName);
    const bytes = await stat(path).then(
      ({ size }) => size,
      () => undefined,
    );
    return bytes === protocol.manifestSignatureBytes ? bytes : undefined;
  }

  /** Looks for new folders, but not at every request; what was read is not read again, since its name is its hash. */
  async #scan(): Promise<void> {
    if (this.#scanning !== undefined) return this.#scanning;
    if (performance.now() - this.#scannedAtMs < limits.rescanMs) return;
    this.#scanning = this.#read().finally(() => {
      this.#scannedAtMs = performance.now();
      this.#scanning = undefined;
    });
    return this.#scanning;
  }

  async #read(): Promise<void> {
    const entries = await readdir(this.folder, { withFileTypes: true }).catch(() => []);
    const folders = entries
      .filter((each) => each.isDirectory() && /^[0-9a-f]{64}$/.test(each.name))
      .map(({ name }) => name);
    for (const known of this.#models.keys()) if (!folders.includes(known)) this.#models.delete(known);
    for (const folder of folders.toSorted()) {
      const hash = protocol.manifestHash(folder);
      if (this.#models.has(hash) || this.#refused.has(folder) || this.#models.size >= limits.modelsMax) continue;
      try {
        const bytes = new Uint8Array(await readFile(join(this.folder, folder, protocol.manifestFileName)));
        const manifest = protocol.decodeManifest(bytes, hash);
        if (await this.#isSigned(hash)) {
          this.#models.set(hash, { name: manifest.name, files: filesOf(manifest, bytes.length) });
        }
      } catch (error) {
        this.#refused.add(folder);
        this.#options.onRefused(folder, error);
      }
    }
  }

  /** A signature may come later than its model: it is looked for again at every scan. */
  async #isSigned(hash: ManifestHash): Promise<boolean> {
    const { publisher, onRefused } = this.#options;
    if (publisher === undefined) return true;
    try {
      const signature = await readFile(join(this.folder, hash, protocol.manifestSignatureFileName));
      protocol.verifyManifestSignature(hash, signature, publisher);
      return true;
    } catch (error) {
      if (!this.#unsigned.has(hash)) onRefused(hash, error);
      this.#unsigned.add(hash);
      return false;
    }
  }
}

function filesOf(manifest: Manifest, manifestBytes: number): Map<string, number> {
  const files = new Map([[protocol.manifestFileName, manifestBytes]]);
  for (const { id, bytes } of manifest.shards) files.set(protocol.shardFileName(id), bytes);
  for (const [field, name] of Object.entries(protocol.manifestFileNames)) {
    const entry = manifest[field as protocol.ManifestFile];
    if (entry !== null) files.set(name, entry.bytes);
  }
  return files;
}
