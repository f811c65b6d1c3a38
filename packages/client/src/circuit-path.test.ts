import { NoRouteError } from '@unfed/inference';
import {
  manifestHash,
  networkGroupOf,
  peerIdFromPublicKey,
  type Announcement,
  type Listing,
  type PeerId,
} from '@unfed/protocol';
import { seededRandom } from '@unfed/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  chooseCircuitPath,
  NoPathError,
  type CircuitPath,
  type ForwarderCount,
  type PathRequest,
} from './circuit-path.ts';
import { GuardSample } from './guard-sample.ts';
import { memoryGuardStore } from './guard-store.ts';

const manifest = manifestHash('ab'.repeat(32));
const layers = 4;
const peerOf = (number: number): PeerId => peerIdFromPublicKey(new Uint8Array(32).fill(number + 1));
const relay = peerOf(200);
const self = peerOf(201);

interface Spec {
  /** Null for one that only forwards. */
  readonly span?: readonly [number, number] | null;
  readonly operator?: string | null;
  readonly network?: number;
  readonly hopKeys?: boolean;
  readonly listedMs?: number;
}

interface World {
  readonly announcements: Announcement[];
  readonly listings: Map<PeerId, Listing>;
}

/** Peers numbered from 0, each in a network of its own unless it says otherwise. */
function worldOf(specs: readonly Spec[], peer: (index: number) => PeerId = peerOf): World {
  const listings = new Map<PeerId, Listing>();
  const announcements = specs.map(({ span = null, operator = null, hopKeys = true, ...spec }, index): Announcement => {
    const group = networkGroupOf(relay, new Uint8Array(16).fill(spec.network ?? 100 + index));
    listings.set(peer(index), { networkGroups: [group], listedMs: spec.listedMs ?? 1e9 });
    return {
      peer: peer(index),
      issuedAtMs: 0,
      expiresAtMs: 60_000,
      stage:
        span === null
          ? null
          : { manifest, span: { first: span[0], last: span[1] }, stepsPerSecond: 100, queueLength: 0, backend: 'wasm' },
      hopKeys: hopKeys ? [new Uint8Array(32)] : [],
      operator,
      addresses: [],
      seeds: [],
    };
  });
  return { announcements, listings };
}

function requestOf({ announcements, listings }: World, changes: Partial<PathRequest> = {}): PathRequest {
  const nothing: Listing = { networkGroups: [], listedMs: 0 };
  return {
    directory: { announcements: () => announcements, listing: (peer) => listings.get(peer) ?? nothing },
    guards: new GuardSample({ store: memoryGuardStore(), nowMs: () => 1e12, random: seededRandom(1) }),
    manifest,
    model: 'demo',
    span: { first: 0, last: layers },
    relays: [relay],
    self,
    local: false,
    random: seededRandom(1),
    ...changes,
  };
}

/** Always this one, where it can serve. */
const onlyGuard = (peer: PeerId): PathRequest['guards'] => ({
  pick: (_, canServe) => (canServe(peer) ? { peer, resting: false } : undefined),
});

const hopsOf = ({ guard, forwarders, stages }: CircuitPath): PeerId[] => [
  guard,
  ...forwarders,
  ...stages.map(({ peer }) => peer),
];
const textOf = (path: CircuitPath): string => hopsOf(path).join();

/** Every path with this guard that the rules allow, by trying all. */
function pathsByForce({ announcements, listings }: World, guard: PeerId, count: number): string[] {
  const by = new Map(announcements.map((each) => [each.peer, each]));
  const kin = (a: PeerId, b: PeerId): boolean => {
    const [operatorA, operatorB] = [by.get(a)?.operator, by.get(b)?.operator];
    const [groupA, groupB] = [a, b].map((peer) => listings.get(peer)?.networkGroups[0]);
    return (operatorA !== null && operatorA === operatorB) || groupA === groupB;
  };
  const fits = (hops: readonly PeerId[], peer: PeerId): boolean => hops.every((hop) => hop !== peer && !kin(hop, peer));
  const covers = (hops: readonly PeerId[], layer: number): PeerId[][] =>
    layer === layers
      ? [[]]
      : announcements.flatMap(({ peer, stage }) =>
          stage?.span.first === layer && fits(hops, peer)
            ? covers([...hops, peer], stage.span.last).map((rest) => [peer, ...rest])
            : [],
        );
  const withForwarders = (hops: readonly PeerId[]): string[] => {
    if (hops.length <= count) {
      return announcements.flatMap(({ peer }) => (fits(hops, peer) ? withForwarders([...hops, peer]) : []));
    }
    const all = covers(hops, 0);
    const fewest = Math.min(...all.map(({ length }) => length));
    // All stages cost the same, so that a cover within 15 % of the best has as few.
    return all.filter(({ length }) => length === fewest).map((stages) => [...hops, ...stages].join());
  };
  return withForwarders([guard]);
}

const specs = fc.array(
  fc.record({
    span: fc.option(fc.constantFrom<readonly [number, number]>([0, 4], [0, 2], [2, 4], [0, 1], [1, 4])),
    operator: fc.option(fc.constantFrom('ann', 'bob'), { freq: 1 }),
    network: fc.nat(5),
  }),
  { minLength: 1, maxLength: 7 },
);
const counts = fc.constantFrom<ForwarderCount>(0, 1, 2);

describe('the path of a circuit', () => {
  it('never has a peer twice, nor two of one operator or network, and covers all layers', () => {
    fc.assert(
      fc.property(specs, counts, fc.integer({ min: 1, max: 1e6 }), (all, forwarders, seed) => {
        const world = worldOf(all);
        const random = seededRandom(seed);
        const guards = new GuardSample({ store: memoryGuardStore(), nowMs: () => 1e12, random });
        let path: CircuitPath;
        try {
          path = chooseCircuitPath(requestOf(world, { forwarders, random, guards }));
        } catch (error) {
          expect(error instanceof NoPathError || error instanceof NoRouteError).toBe(true);
          return;
        }
        const hops = hopsOf(path);
        expect(path.forwarders).toHaveLength(forwarders);
        expect(new Set(hops).size).toBe(hops.length);
        const labels = hops.flatMap((peer) => {
          const operator = world.announcements.find((each) => each.peer === peer)?.operator ?? null;
          return [...(operator === null ? [] : [operator]), ...(world.listings.get(peer)?.networkGroups ?? [])];
        });
        expect(new Set(labels).size).toBe(labels.length);
        expect(path.stages.map(({ span }) => span.first)).toEqual([
          0,
          ...path.stages.slice(0, -1).map(({ span }) => span.last),
        ]);
        expect(path.stages.at(-1)?.span.last).toBe(layers);
      }),
    );
  });

  it('may be any that the rules allow, and is found wherever there is one', () => {
    fc.assert(
      fc.property(specs, counts, (all, forwarders) => {
        const world = worldOf(all);
        const guard = peerOf(0);
        const allowed = new Set(pathsByForce(world, guard, forwarders));
        const request = requestOf(world, { forwarders, guards: onlyGuard(guard) });
        if (allowed.size === 0) {
          expect(() => chooseCircuitPath(request)).toThrow();
          return;
        }
        fc.pre(allowed.size <= 24);
        const random = seededRandom(1);
        const drawn = new Set<string>();
        for (let i = 0; i < 60 * allowed.size && drawn.size < allowed.size; i++) {
          drawn.add(textOf(chooseCircuitPath({ ...request, random })));
        }
        expect(drawn).toEqual(allowed);
      }),
      { seed: 7, numRuns: 300 },
    );
  });

  it('has one forwarder behind the guard, unless the person chooses none or two', () => {
    const world = worldOf([{ span: [0, 4] }, {}, {}, {}]);
    expect(chooseCircuitPath(requestOf(world)).forwarders).toHaveLength(1);
    for (const forwarders of [0, 1, 2] as const) {
      expect(chooseCircuitPath(requestOf(world, { forwarders })).forwarders).toHaveLength(forwarders);
    }
  });

  it('uses no peer that takes no circuits, none that failed, and the person’s own for its layers alone', () => {
    const world = worldOf([{ span: [0, 4], hopKeys: false }, { span: [0, 4] }, {}, {}, { hopKeys: false }, {}]);
    const without = new Set([peerOf(3)]);
    for (let seed = 1; seed <= 50; seed++) {
      const random = seededRandom(seed);
      const path = chooseCircuitPath(
        requestOf(world, { guards: onlyGuard(peerOf(2)), self: peerOf(1), without, random }),
      );
      expect(textOf(path)).toBe([peerOf(2), peerOf(5), peerOf(1)].join());
    }
  });

  it('lifts the rule on one machine, and there alone', () => {
    const world = worldOf(
      ([{ span: [0, 2] }, { span: [2, 4] }, {}, {}] as Spec[]).map((spec) => ({ ...spec, network: 1, operator: 'me' })),
    );
    const path = chooseCircuitPath(requestOf(world, { local: true }));
    expect(new Set(hopsOf(path)).size).toBe(4);
    expect(() => chooseCircuitPath(requestOf(world))).toThrow(/belong to one operator or network/);
  });

  it('tells operators apart by their names, whatever the case', () => {
    const world = worldOf([
      { span: [0, 4], operator: 'Ann ' },
      { operator: 'ann' },
      { operator: '' },
      { operator: ' ' },
    ]);
    const path = chooseCircuitPath(requestOf(world, { random: seededRandom(3) }));
    expect(new Set([path.guard, ...path.forwarders])).toEqual(new Set([peerOf(2), peerOf(3)]));
  });

  it('goes through the relay where no volunteer can be guard, and where those that could rest', () => {
    const peer = (index: number): PeerId => (index === 0 ? relay : peerOf(index));
    const world = worldOf([{}, { span: [0, 4] }, {}], peer);
    const away: PathRequest['guards'] = { pick: () => undefined };
    const path = chooseCircuitPath(requestOf(world, { guards: away }));
    expect(path).toMatchObject({ guard: relay, guardIs: 'relay', forwarders: [peerOf(2)] });
    const tired: PathRequest['guards'] = { pick: () => ({ peer: peerOf(2), resting: true }) };
    expect(chooseCircuitPath(requestOf(world, { guards: tired, forwarders: 0 })).guard).toBe(relay);
    expect(chooseCircuitPath(requestOf(world, { forwarders: 0 }))).toMatchObject({
      guard: peerOf(2),
      guardIs: 'volunteer',
    });
    const noRelay = worldOf([{ hopKeys: false }, { span: [0, 4] }, {}], peer);
    expect(chooseCircuitPath(requestOf(noRelay, { guards: tired, forwarders: 0 })).guard).toBe(peerOf(2));
    expect(() => chooseCircuitPath(requestOf(noRelay, { guards: away, forwarders: 0 }))).toThrow(NoPathError);
  });

  it('takes the next guard of the sample where the first is needed as a stage', () => {
    const world = worldOf([{ span: [0, 2] }, { span: [2, 4] }, {}, {}]);
    for (let seed = 1; seed <= 50; seed++) {
      const random = seededRandom(seed);
      const guards = new GuardSample({ store: memoryGuardStore(), nowMs: () => 1e12, random });
      const path = chooseCircuitPath(requestOf(world, { guards, random }));
      expect(new Set([path.guard, ...path.forwarders])).toEqual(new Set([peerOf(2), peerOf(3)]));
    }
  });

  it.each([
    ['nobody serves layers 2–3 of demo', [{ span: [0, 2] }, {}, {}]],
    ['no circuit to demo: no peer is there that can be its guard', [{ span: [0, 4] }]],
    ['no circuit to demo: no forwarder is there behind the guard', [{ span: [0, 4] }, {}]],
    [
      'belong to one operator or network',
      [{ span: [0, 4], operator: 'ann' }, { operator: 'ann' }, { operator: 'ann' }],
    ],
  ] as const)('says why there is none: %s', (text, all) => {
    expect(() => chooseCircuitPath(requestOf(worldOf(all)))).toThrow(text);
  });

  it('a directory of thousands that belong together costs a bounded search', () => {
    const many = Array.from({ length: 3000 }, (): Spec => ({ span: [0, 2], operator: 'ann', network: 1 }));
    const numbered = (index: number): PeerId => {
      const key = new Uint8Array(32).fill(9);
      new DataView(key.buffer).setUint32(0, index);
      return peerIdFromPublicKey(key);
    };
    const world = worldOf([...many, { span: [2, 4] }, {}, {}], numbered);
    const path = chooseCircuitPath(requestOf(world, { guards: onlyGuard(numbered(3001)) }));
    expect(path.forwarders).toEqual([numbered(3002)]);
  });
});
