/** The network as the page shows it: pools with their coverage, forwarders, connections. */
import { coverage } from '@unfed/inference';
import type { Network } from '@unfed/network';
import type { Announcement, ManifestHash } from '@unfed/protocol';
import type { Circuits } from './circuits.ts';
import { modelName, type KnownModel } from './known-models.ts';
import type { ForwarderView, NetworkView, PoolView, StageView } from './peer.ts';

export function networkView(
  network: Network,
  /** Pools to show even when nobody serves them. */
  known: ReadonlyMap<ManifestHash, KnownModel>,
  { local, guards }: Pick<Circuits, 'local' | 'guards'>,
): NetworkView {
  const announcements = network.directory.announcements();
  const pools = new Map<ManifestHash, Announcement[]>([...known.keys()].map((hash) => [hash, []]));
  for (const announcement of announcements) {
    if (announcement.stage === null) continue;
    const { manifest } = announcement.stage;
    const pool = pools.get(manifest);
    if (pool === undefined) pools.set(manifest, [announcement]);
    else pool.push(announcement);
  }
  return {
    relay: network.relayState,
    pools: [...pools].map(([hash, pool]) => poolView(hash, pool, { self: network.self, known: known.get(hash) })),
    forwarders: announcements.filter(isForwarder).map(({ peer }): ForwarderView => ({ peer })),
    connections: network.connections,
    guards: guards.guards,
    local,
  };
}

/** Who announces chunks and no stage is still fetching what it will serve. */
function isForwarder({ stage, seeds }: Announcement): boolean {
  return stage === null && seeds.length === 0;
}

function poolView(
  hash: ManifestHash,
  announcements: readonly Announcement[],
  { self, known }: { self: string; known: KnownModel | undefined },
): PoolView {
  const stages = announcements.flatMap(({ peer, stage }): StageView[] => {
    if (stage === null) return [];
    const { span, backend, stepsPerSecond, queueLength } = stage;
    return [{ peer, span, backend, stepsPerSecond, queueLength, self: peer === self }];
  });
  stages.sort((a, b) => a.span.first - b.span.first || a.span.last - b.span.last || (a.peer < b.peer ? -1 : 1));
  const layers = known?.manifest?.architecture.layers ?? 0;
  return {
    manifest: hash,
    name: modelName(hash, known),
    layers,
    coverage: coverage(
      stages.map((stage) => stage.span),
      layers,
    ),
    stages,
  };
}
