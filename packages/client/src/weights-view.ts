/** What is kept, fetched and passed on, as the page shows it. Pure. */
import type { ManifestHash } from '@unfed/protocol';
import { secondsLeft, type Keeping, type Swarm } from '@unfed/swarm';
import type { KeptModel } from './kept-models.ts';
import type { ModelWeightsView, WeightsView } from './peer.ts';

export interface WeightsFacts {
  /** While nobody donates here there is none, and chunks only lie in the store. */
  readonly swarm: Pick<Swarm, 'progress' | 'pieceMap' | 'upload' | 'bans'> | undefined;
  readonly stored: readonly KeptModel[];
  readonly usedBytes: number;
  readonly capBytes: number;
  readonly kept: Keeping;
  /** By swarms that ended. */
  readonly uploadedBytesBefore: number;
  readonly note: string;
  readonly nameOf: (manifest: ManifestHash) => string;
}

export function weightsView(facts: WeightsFacts): WeightsView {
  const { swarm, usedBytes, capBytes, kept, note } = facts;
  return {
    models: modelViews(facts),
    usedBytes,
    capBytes,
    kept,
    uploadedBytes: facts.uploadedBytesBefore + (swarm?.upload.bytesSent ?? 0),
    uploadBytesPerSecond: swarm?.upload.bytesPerSecond ?? 0,
    banned: swarm?.bans.length ?? 0,
    note,
  };
}

function modelViews({ swarm, stored, nameOf }: WeightsFacts): ModelWeightsView[] {
  const storedBytes = new Map(stored.map((it) => [it.manifest, it.bytes]));
  const exchanged = (swarm?.progress ?? []).map((progress): ModelWeightsView => {
    const { manifest, name, doneBytes, totalBytes, bytesPerSecond, peersGiving, seed, paused } = progress;
    return {
      manifest,
      name,
      heldBytes: doneBytes,
      wantedBytes: totalBytes,
      storedBytes: storedBytes.get(manifest) ?? 0,
      bytesPerSecond,
      secondsLeft: secondsLeft(progress) ?? null,
      peers: peersGiving,
      seed,
      paused,
      pieces: swarm?.pieceMap(manifest) ?? [],
    };
  });
  const known = new Set(exchanged.map(({ manifest }) => manifest));
  const resting = stored.filter(({ manifest }) => !known.has(manifest));
  const shown = exchanged.filter(({ storedBytes: bytes, wantedBytes }) => bytes > 0 || wantedBytes > 0);
  return [...shown, ...resting.map((model) => restingView(model, nameOf(model.manifest)))];
}

/** A model that is kept from an earlier time. */
function restingView({ manifest, name, bytes, pieces }: KeptModel, otherName: string): ModelWeightsView {
  return {
    manifest,
    name: name ?? otherName,
    heldBytes: 0,
    wantedBytes: 0,
    storedBytes: bytes,
    bytesPerSecond: 0,
    secondsLeft: 0,
    peers: 0,
    seed: false,
    paused: false,
    pieces,
  };
}
