/** The models that a peer exchanges: one download each, made when somebody asks or the store already holds some of it. */
import * as protocol from '@unfed/protocol';
import type { Manifest, ManifestHash } from '@unfed/protocol';
import { Download } from './download.ts';
import type { DownloadParts } from './download-parts.ts';
import { freeRoom, type ShardWorth } from './free-room.ts';
import * as limits from './limits.ts';
import type { ModelFiles } from './model-files.ts';
import type { Soon } from './soon.ts';
import type { StoreChange } from './store.ts';

/** Those of a download that all models share, and what only some know of one. */
type SharedParts = Omit<DownloadParts, 'hash' | 'manifest' | 'others' | 'arePeersExpected' | 'makeRoom'>;

export interface SwarmModelsParts extends SharedParts {
  readonly files: ModelFiles;
  readonly soon: Soon;
  /** What shards are worth when the store is full. Default: wanted ones 1, others 0. */
  readonly worth: ShardWorth | undefined;
  readonly othersOf: (model: ManifestHash) => readonly number[];
  readonly arePeersExpectedFor: (model: ManifestHash) => boolean;
  /** Chunks that one peer may be asked for at a time. */
  readonly windowChunks: () => number;
  /** It is known what the store holds of a model: links may speak of it. */
  readonly onReady: (model: Download) => void;
}

export class SwarmModels {
  readonly byHash = new Map<ManifestHash, Download>();
  readonly #parts: SwarmModelsParts;
  #isPaused = false;
  #isStopped = false;
  #makingRoom: Promise<unknown> = Promise.resolve();

  constructor(parts: SwarmModelsParts) {
    this.#parts = parts;
  }

  get all(): readonly Download[] {
    return [...this.byHash.values()];
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  get isComplete(): boolean {
    return this.all.every((model) => model.isComplete);
  }

  of(manifest: Manifest): Download {
    const hash = this.#parts.files.hashOf(manifest);
    const known = this.byHash.get(hash);
    if (known !== undefined) return known;
    const model = this.#create(hash, manifest);
    void this.#parts.files.keepManifest(hash, manifest);
    return model;
  }

  /** What an earlier session kept is given again. @throws StoreError */
  async restore(): Promise<void> {
    const { store, files, isPrivate } = this.#parts;
    for (const { manifest: hash, shards } of await store.models()) {
      const isGiven = [...shards.keys()].some((shard) => !isPrivate(shard));
      if (!isGiven || this.byHash.size >= protocol.limits.seedsMax || this.#isStopped) continue;
      const kept = await files.kept(hash);
      if (kept !== undefined && !this.byHash.has(hash)) this.#create(hash, kept.manifest);
    }
    this.#parts.onChange();
  }

  /** @param hash all models when absent, and those that come */
  pause(hash?: ManifestHash): void {
    this.#isPaused ||= hash === undefined;
    for (const model of this.#named(hash)) model.pause();
  }

  resume(hash?: ManifestHash): void {
    this.#isPaused &&= hash !== undefined;
    for (const model of this.#named(hash)) model.resume();
  }

  setWindow(): void {
    for (const model of this.all) model.setWindow(this.#parts.windowChunks());
  }

  /** @returns whether the model was exchanged */
  remove(hash: ManifestHash): boolean {
    this.byHash.get(hash)?.stop();
    return this.byHash.delete(hash);
  }

  stop(): void {
    this.#isStopped = true;
    for (const model of this.all) model.stop();
  }

  /** Another tab stored something, or something was dropped. */
  onStoreChange({ manifest, what, elsewhere }: StoreChange): void {
    const model = this.byHash.get(manifest);
    if (model === undefined || (what === 'stored' && !elsewhere)) return;
    const reload = (): void => void model.reload().catch(() => undefined);
    this.#parts.soon.run(`reload ${manifest}`, limits.notifyMs, reload);
  }

  #named(hash?: ManifestHash): Download[] {
    return this.all.filter((model) => hash === undefined || model.manifest === hash);
  }

  #create(hash: ManifestHash, manifest: Manifest): Download {
    const { othersOf, arePeersExpectedFor, windowChunks, onReady } = this.#parts;
    const model = new Download({
      ...this.#parts,
      hash,
      manifest,
      others: () => othersOf(hash),
      arePeersExpected: () => arePeersExpectedFor(hash),
      makeRoom: (bytes) => this.#makeRoom(hash, manifest, bytes),
    });
    model.setWindow(windowChunks());
    if (this.#isPaused) model.pause();
    this.byHash.set(hash, model);
    void model.ready
      .catch(() => undefined)
      .then(() => {
        if (this.byHash.get(hash) === model) onReady(model);
      });
    return model;
  }

  /** One after the other: each makes room for bytes of its own. */
  #makeRoom(hash: ManifestHash, manifest: Manifest, bytes: number): Promise<boolean> {
    const making = this.#makingRoom.then(() => this.#dropLeastWanted(hash, manifest, bytes));
    this.#makingRoom = making.catch(() => undefined);
    return making;
  }

  async #dropLeastWanted(hash: ManifestHash, manifest: Manifest, bytes: number): Promise<boolean> {
    const { store, files } = this.#parts;
    const isWanted: ShardWorth = (model, shard) => (this.byHash.get(model)?.isWanted(shard) === true ? 1 : 0);
    const worth = this.#parts.worth ?? isWanted;
    const dropped = await freeRoom(store, { bytes, forWorth: 1, worth });
    // Where nothing that was held of the model was wanted, its manifest went, too.
    const isEmptied = dropped.some((it) => it.manifest === hash && it.shards === undefined);
    if (isEmptied) await files.keepManifest(hash, manifest);
    return dropped.length > 0;
  }
}
