/**
 * The models that this peer knows by name: those that its relay lists, and every one that somebody serves. Anybody may
 * announce a pool of any hash, so what is asked for on their word is bounded.
 */
import type { Directory, Manifest, ManifestHash } from '@unfed/protocol';
import type { ShardSource } from '@unfed/swarm';
import * as limits from './limits.ts';

export interface KnownModel {
  readonly name: string;
  readonly manifest?: Manifest;
}

/** Its name, or the start of its hash. */
export function modelName(hash: ManifestHash, known: KnownModel | undefined): string {
  return known?.name ?? `${hash.slice(0, 8)}…`;
}

export interface KnownModelsOptions {
  /** The relay's models: shown also while their manifests cannot be had. */
  readonly listed: readonly { readonly manifest: ManifestHash; readonly name: string }[];
  readonly directory: Directory;
  readonly source: Pick<ShardSource, 'manifest'>;
  readonly signal: AbortSignal;
  readonly onChange: () => void;
  readonly nowMs?: () => number;
}

/** @returns the models as they are known at each call, which asks for what has become known since */
export function knownModels(options: KnownModelsOptions): () => ReadonlyMap<ManifestHash, KnownModel> {
  const { listed, directory, source, signal, onChange, nowMs = () => performance.now() } = options;
  const models = new Map<ManifestHash, KnownModel>(listed.map(({ manifest, name }) => [manifest, { name }]));
  /** When each manifest that is not held may be asked for again. */
  const askAgainAtMs = new Map<ManifestHash, number>();

  function ask(hash: ManifestHash): void {
    if (signal.aborted || models.get(hash)?.manifest !== undefined || askAgainAtMs.has(hash)) return;
    if (askAgainAtMs.size >= limits.manifestsAskedMax) return;
    askAgainAtMs.set(hash, Infinity);
    source.manifest(hash, { signal }).then(
      ({ manifest }) => {
        models.set(hash, { name: manifest.name, manifest });
        askAgainAtMs.delete(hash);
        onChange();
      },
      // A pool whose manifest nobody here has is shown by its hash.
      () => askAgainAtMs.set(hash, nowMs() + limits.manifestRetryMs),
    );
  }

  return () => {
    for (const [hash, atMs] of askAgainAtMs) if (atMs <= nowMs()) askAgainAtMs.delete(hash);
    for (const { manifest } of listed) ask(manifest);
    for (const { stage } of directory.announcements()) if (stage !== null) ask(stage.manifest);
    return models;
  };
}
