/** The models of which pieces lie in the store, with name and map where the manifest lies there too. */
import { decodeManifest, manifestFileName, type Manifest, type ManifestHash } from '@unfed/protocol';
import { keptPieces, type ChunkStore, type PieceMap } from '@unfed/swarm';

export interface KeptModel {
  readonly manifest: ManifestHash;
  /** What all of it takes of the store. */
  readonly bytes: number;
  readonly name: string | undefined;
  /** Empty where it is not known. */
  readonly pieces: PieceMap;
}

/**
 * @param hasMap models whose maps come from elsewhere
 * @param manifests those that were read before; what is read is added
 * @throws StoreError
 */
export async function keptModels(
  store: ChunkStore,
  hasMap: (manifest: ManifestHash) => boolean,
  manifests: Map<ManifestHash, Manifest>,
): Promise<readonly KeptModel[]> {
  const stored = (await store.models()).filter(({ shards }) => shards.size > 0);
  return Promise.all(
    stored.map(async ({ manifest: hash, bytes }): Promise<KeptModel> => {
      const unknown = { manifest: hash, bytes, name: undefined, pieces: [] };
      if (hasMap(hash)) return unknown;
      const manifest = manifests.get(hash) ?? (await keptManifest(store, hash));
      if (manifest === undefined) return unknown;
      manifests.set(hash, manifest);
      return { ...unknown, name: manifest.name, pieces: keptPieces(manifest, await store.held(hash)) };
    }),
  );
}

/** Damaged, it is as good as none: whoever needs it fetches it again. */
async function keptManifest(store: ChunkStore, hash: ManifestHash): Promise<Manifest | undefined> {
  const bytes = await store.getFile(hash, manifestFileName);
  try {
    return bytes === undefined ? undefined : decodeManifest(bytes, hash);
  } catch {
    return undefined;
  }
}
