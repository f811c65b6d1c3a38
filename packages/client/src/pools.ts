/** The network as the page shows it: pools with their coverage, forwarders, connections. */
import { coverage } from '@unfed/inference';
import type { Network } from '@unfed/network';
import type { Announcement, Manifest, ManifestHash } from '@unfed/protocol';
import type { ForwarderView, NetworkView, PoolView, StageView } from './peer.ts';

export function networkView(
  network: Network,
  /** Pools to show even when nobody serves them. */
  known: ReadonlyMap<ManifestHash, { readonly name: string; readonly manifest?: Manifest }>,
): NetworkView {
  const announcements = network.directory.announcements();
  const hashes = new Set<ManifestHash>(known.keys());
  for (const { stage } of announcements) if (stage !== null) hashes.add(stage.manifest);
  return {
    relay: network.relayState,
    pools: [...hashes].map((hash) => poolView(hash, announcements, { self: network.self, known: known.get(hash) })),
    forwarders: announcements.filter(({ stage }) => stage === null).map(({ peer }): ForwarderView => ({ peer })),
    connections: network.connections,
  };
}

function poolView(
  hash: ManifestHash,
  announcements: readonly Announcement[],
  { self, known }: { self: string; known: { readonly name: string; readonly manifest?: Manifest } | undefined },
): PoolView {
  const stages = announcements.flatMap(({ peer, stage }): StageView[] => {
    if (stage?.manifest !== hash) return [];
    const { span, backend, stepsPerSecond, queueLength } = stage;
    return [{ peer, span, backend, stepsPerSecond, queueLength, self: peer === self }];
  });
  stages.sort((a, b) => a.span.first - b.span.first || a.span.last - b.span.last || (a.peer < b.peer ? -1 : 1));
  const layers = known?.manifest?.architecture.layers ?? 0;
  return {
    manifest: hash,
    name: known?.name ?? `${hash.slice(0, 8)}…`,
    layers,
    coverage: coverage(
      stages.map((stage) => stage.span),
      layers,
    ),
    stages,
  };
}
