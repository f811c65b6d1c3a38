/** The models that the relay serves as a web seed: finished folders named by their manifest's hash, and their files. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as protocol from '@unfed/protocol';
import type { Manifest, ManifestHash } from '@unfed/protocol';
import * as limits from './limits.ts';

interface Model {
  readonly name: string;
  /** Bytes by file name, as the manifest says. */
  readonly files: ReadonlyMap<string, number>;
}

export class Models {
  readonly folder: string;
  readonly #onRefused: (folder: string, error: unknown) => void;
  readonly #models = new Map<ManifestHash, Model>();
  readonly #refused = new Set<string>();
  #scannedAtMs = -Infinity;
  #scanning: Promise<void> | undefined;

  /** @param onRefused hears once of a folder that has the name of a model and is none */
  constructor(folder: string, onRefused: (folder: string, error: unknown) => void) {
    this.folder = folder;
    this.#onRefused = onRefused;
  }

  async list(): Promise<{ manifest: ManifestHash; name: string }[]> {
    await this.#scan();
    return [...this.#models].map(([manifest, { name }]) => ({ manifest, name }));
  }

  /** @returns the file's length by the manifest; undefined where there is no such model or file */
  async fileBytes(hash: string, file: string): Promise<number | undefined> {
    const known = this.#models.get(hash as ManifestHash);
    if (known === undefined) await this.#scan();
    return (known ?? this.#models.get(hash as ManifestHash))?.files.get(file);
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
        this.#models.set(hash, { name: manifest.name, files: filesOf(manifest, bytes.length) });
      } catch (error) {
        this.#refused.add(folder);
        this.#onRefused(folder, error);
      }
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
