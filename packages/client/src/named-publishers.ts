/** The publishers that a relay names for the models it lists: their manifests are taken with their signatures only. */
import { manifestHash, peerId, type ManifestHash, type PeerId } from '@unfed/protocol';
import type { RelayInfo } from './peer.ts';

/** @throws InvalidValueError for a relay's description that was not checked */
export function namedPublishers({ models }: RelayInfo): (manifest: ManifestHash) => PeerId | undefined {
  const publishers = new Map(
    models.map(({ manifest, publisher }) => [
      manifestHash(manifest),
      publisher === undefined ? undefined : peerId(publisher),
    ]),
  );
  return (manifest) => publishers.get(manifest);
}
