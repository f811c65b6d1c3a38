import type { Announcement, ManifestHash, PeerId, Span } from '@unfed/protocol';
import { seededRandom } from '@unfed/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NoRouteError } from './errors.ts';
import { coverage, planRoute, uncovered } from './planner.ts';
import { chooseSpan } from './span-choice.ts';
import * as limits from './limits.ts';

interface Speed {
  readonly stepsPerSecond?: number;
  readonly queueLength?: number;
}

const manifest = 'a'.repeat(64) as ManifestHash;

function stage(name: string, [first, last]: readonly [number, number], speed: Speed = {}): Announcement {
  const { stepsPerSecond = 100, queueLength = 0 } = speed;
  return {
    peer: name as PeerId,
    issuedAtMs: 0,
    expiresAtMs: 60_000,
    stage: { manifest, span: { first, last }, stepsPerSecond, queueLength, backend: 'wasm' },
    hopKeys: [],
    operator: null,
    addresses: [],
    seeds: [],
  };
}

/** A stream of draws that is the same each time. */
function draws(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647;
}

const plan = (announcements: Announcement[], layers: number, random = Math.random) =>
  planRoute({ announcements, manifest, model: 'demo', span: { first: 0, last: layers }, random });

const spans = (layers: number) =>
  fc
    .array(
      fc.tuple(fc.nat(layers - 1), fc.integer({ min: 1, max: layers }), fc.integer({ min: 1, max: 1000 }), fc.nat(5)),
      { maxLength: 24 },
    )
    .map((rows) =>
      rows.map(([first, length, speed, queue], i) =>
        stage(`p${i}`, [first, Math.min(layers, first + length)], { stepsPerSecond: speed, queueLength: queue }),
      ),
    );

function costMs(a: Announcement): number {
  return a.stage === null
    ? 0
    : limits.linkDelayMsDefault +
        (1000 / Math.min(a.stage.stepsPerSecond, limits.stepsPerSecondCredibleMax)) * (1 + a.stage.queueLength / 2);
}

/** The least cost by trying every cover. */
function bestByForce(announcements: Announcement[], layer: number, layers: number): number {
  if (layer === layers) return 0;
  let best = Infinity;
  for (const a of announcements) {
    if (a.stage?.span.first === layer)
      best = Math.min(best, costMs(a) + bestByForce(announcements, a.stage.span.last, layers));
  }
  return best;
}

/** Every cover, end to end. */
function coversByForce(announcements: Announcement[], layer: number, layers: number): Announcement[][] {
  if (layer === layers) return [[]];
  return announcements.flatMap((a) =>
    a.stage?.span.first === layer
      ? coversByForce(announcements, a.stage.span.last, layers).map((rest) => [a, ...rest])
      : [],
  );
}

/** The least number of failed peers in any cover, by trying every one. */
function fewest(announcements: Announcement[], failed: ReadonlySet<PeerId>, span: Span): number {
  if (span.first === span.last) return 0;
  let least = Infinity;
  for (const { peer, stage: offer } of announcements) {
    if (offer?.span.first !== span.first) continue;
    const rest = fewest(announcements, failed, { first: offer.span.last, last: span.last });
    least = Math.min(least, rest + (failed.has(peer) ? 1 : 0));
  }
  return least;
}

describe('planner', () => {
  it('P1: a plan covers every layer once, end to end, and costs at most 15 % more than the best', () => {
    fc.assert(
      fc.property(
        spans(8),
        fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
        (announcements, stream) => {
          const best = bestByForce(announcements, 0, 8);
          if (best === Infinity) {
            expect(() => plan(announcements, 8)).toThrow(NoRouteError);
            return;
          }
          const hops = plan(announcements, 8, () => stream.next().value as number);
          let layer = 0;
          for (const hop of hops) {
            expect(hop.span.first).toBe(layer);
            layer = hop.span.last;
          }
          expect(layer).toBe(8);
          const cost = hops.reduce(
            (sum, hop) => sum + costMs(announcements.find((a) => a.peer === hop.peer) as Announcement),
            0,
          );
          expect(cost).toBeLessThanOrEqual(best * limits.planSlackRatio + 1e-6);
        },
      ),
    );
  });

  it('says which layers nobody serves, by name', () => {
    expect(() => plan([stage('a', [0, 4]), stage('b', [6, 8])], 8)).toThrow(/^nobody serves layers 4–5 of demo/);
    expect(() => plan([stage('a', [0, 7])], 8)).toThrow(/^nobody serves layer 7 of demo/);
    expect(() => plan([], 8)).toThrow(/^nobody serves layers 0–7 of demo/);
  });

  it('says that stages do not fit where all layers are served', () => {
    expect(() => plan([stage('a', [0, 5]), stage('b', [3, 8])], 8)).toThrow(
      /no stages fit end to end \(they serve 0–4, 3–7\)/,
    );
  });

  it('own layers: only stages that lie between them are used, and the error says which layers are joined to them', () => {
    const between = (announcements: Announcement[]) =>
      planRoute({ announcements, manifest, model: 'demo', span: { first: 1, last: 7 } });
    const whole = [stage('a', [0, 4]), stage('b', [4, 8])];
    expect(() => between(whole)).toThrow(
      /^nobody serves layers 1–6 of demo without layers that this client runs itself \(they serve 0–3, 4–7\)/,
    );
    const fitting = [stage('c', [1, 4]), stage('d', [4, 7])];
    expect(between([...whole, ...fitting]).map(({ peer }) => peer)).toEqual(['c', 'd']);
    expect(() => between([...whole, stage('c', [1, 4])])).toThrow(/^nobody serves layers 4–6 of demo without/);
    expect(() => between([stage('c', [1, 4])])).toThrow(/^nobody serves layers 4–6 of demo; open a page/);
  });

  it('passes over other pools, forwarders and peers that failed', () => {
    const other = {
      ...stage('x', [0, 8]),
      stage: { ...stage('x', [0, 8]).stage, manifest: 'b'.repeat(64) },
    } as Announcement;
    const forwarder = { ...stage('f', [0, 8]), stage: null };
    expect(plan([other, forwarder, stage('a', [0, 8])], 8).map((hop) => hop.peer)).toEqual(['a']);
    const without = new Set(['a' as PeerId]);
    const request = {
      announcements: [stage('a', [0, 8])],
      manifest,
      model: 'demo',
      span: { first: 0, last: 8 },
      without,
    };
    expect(() => planRoute(request)).toThrow(NoRouteError);
  });

  it('P2: a claim beyond what is credible gains nothing', () => {
    const claims = fc.array(fc.integer({ min: 1, max: 1_000_000 }), { minLength: 24, maxLength: 24 });
    fc.assert(
      fc.property(spans(8), claims, fc.integer({ min: 1, max: 1_000_000 }), (announcements, speeds, seed) => {
        const saying = (believed: (speed: number) => number) =>
          announcements.map((a, i) =>
            a.stage === null ? a : { ...a, stage: { ...a.stage, stepsPerSecond: believed(speeds[i]) } },
          );
        const said = saying((speed) => speed);
        const credible = saying((speed) => Math.min(speed, limits.stepsPerSecondCredibleMax));
        fc.pre(bestByForce(said, 0, 8) < Infinity);
        expect(plan(said, 8, draws(seed))).toEqual(plan(credible, 8, draws(seed)));
      }),
    );
  });

  it('P3: peers that failed are tried last: none is used where others cover the model, the fewest where they must be', () => {
    const penalty = 60_000;
    fc.assert(
      fc.property(
        spans(6),
        fc.array(fc.boolean(), { minLength: 24, maxLength: 24 }),
        fc.integer({ min: 1, max: 1_000_000 }),
        (announcements, failing, seed) => {
          const failed = new Set(announcements.filter((_, i) => failing[i]).map(({ peer }) => peer));
          fc.pre(bestByForce(announcements, 0, 6) < Infinity);
          const hops = planRoute({
            announcements,
            manifest,
            model: 'demo',
            span: { first: 0, last: 6 },
            penaltyMs: (peer) => (failed.has(peer) ? penalty : 0),
            random: draws(seed),
          });
          const used = hops.filter(({ peer }) => failed.has(peer)).length;
          expect(used).toBe(fewest(announcements, failed, { first: 0, last: 6 }));
        },
      ),
    );
  });

  it('P5: no two stages are kin, the best that this allows is the measure, and every such plan may be drawn', () => {
    const kinds = fc.array(fc.subarray(['operator a', 'operator b', 'network c']), { minLength: 24, maxLength: 24 });
    fc.assert(
      fc.property(spans(4), kinds, (all, labels) => {
        const announcements = all.slice(0, 10);
        const kinOf = (peer: PeerId) => labels[announcements.findIndex((a) => a.peer === peer)];
        const request = { announcements, manifest, model: 'demo', span: { first: 0, last: 4 }, kinOf };
        const allowed = coversByForce(announcements, 0, 4).filter((cover) => {
          const used = cover.flatMap(({ peer }) => kinOf(peer));
          return new Set(used).size === used.length;
        });
        if (allowed.length === 0) {
          expect(() => planRoute(request)).toThrow(NoRouteError);
          return;
        }
        const total = (cover: readonly Announcement[]) => cover.reduce((sum, a) => sum + costMs(a), 0);
        const enough = Math.min(...allowed.map(total)) * limits.planSlackRatio + 1e-6;
        const names = (peers: readonly { peer: PeerId }[]) => peers.map(({ peer }) => peer).join();
        const near = new Set(allowed.filter((cover) => total(cover) <= enough).map(names));
        const random = seededRandom(1);
        const drawn = new Set<string>();
        for (let i = 0; i < 40 * near.size && drawn.size < near.size; i++) {
          drawn.add(names(planRoute({ ...request, random })));
        }
        expect(drawn).toEqual(near);
      }),
      { seed: 5, numRuns: 200 },
    );
  });

  it('P5: many names for one kin cannot make planning long', () => {
    const strangers = Array.from({ length: 4000 }, (_, i) => stage(`s${i}`, [i % 8, (i % 8) + 1]));
    const honest = Array.from({ length: 7 }, (_, i) => stage(`h${i}`, [i, i + 1], { stepsPerSecond: 1 }));
    const kinOf = (peer: PeerId) => (peer.startsWith('s') ? ['operator'] : []);
    const request = { manifest, model: 'demo', span: { first: 0, last: 8 }, kinOf };
    const hops = planRoute({ ...request, announcements: [...strangers, ...honest] });
    expect(hops.filter(({ peer }) => peer.startsWith('s'))).toHaveLength(1);
    const two = [...strangers, ...honest.slice(0, 6)];
    expect(() => planRoute({ ...request, announcements: two })).toThrow(/no stages fit end to end/);
  });

  it('draws among equals, so that no one stage attracts everybody', () => {
    const equals = [stage('a', [0, 8]), stage('b', [0, 8])];
    expect(plan(equals, 8, () => 0)[0].peer).toBe('a');
    expect(plan(equals, 8, () => 0.99)[0].peer).toBe('b');
  });
});

describe('coverage', () => {
  it('counts and gaps agree', () => {
    fc.assert(
      fc.property(spans(12), (announcements) => {
        const served = announcements.map((a) => a.stage?.span as Span);
        const counts = coverage(served, 12);
        const gaps = uncovered(served, { first: 0, last: 12 });
        for (let layer = 0; layer < 12; layer++) {
          expect(counts[layer]).toBe(served.filter((span) => span.first <= layer && layer < span.last).length);
          expect(gaps.some((gap) => gap.first <= layer && layer < gap.last)).toBe(counts[layer] === 0);
        }
      }),
    );
  });
});

describe('choice of a span', () => {
  it('volunteers that join one by one, each with room for some layers, cover the model end to end', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 40, maxLength: 40 }),
        (layers, rooms) => {
          const joined: Announcement[] = [];
          for (const room of rooms) {
            const span = chooseSpan(
              joined.flatMap((a) => a.stage ?? []),
              layers,
              room,
            );
            expect(span.last - span.first).toBeGreaterThan(0);
            expect(span.last - span.first).toBeLessThanOrEqual(room);
            expect(span.last).toBeLessThanOrEqual(layers);
            joined.push(stage(`p${joined.length}`, [span.first, span.last]));
          }
          expect(plan(joined, layers).length).toBeGreaterThan(0);
        },
      ),
    );
  });

  it('where all is served, helps the span that is slowest in all', () => {
    const offers = [
      { span: { first: 0, last: 4 }, stepsPerSecond: 10 },
      { span: { first: 4, last: 8 }, stepsPerSecond: 4 },
      { span: { first: 4, last: 8 }, stepsPerSecond: 4 },
    ];
    expect(chooseSpan(offers, 8, 4)).toEqual({ first: 4, last: 8 });
    // One that claims more than is credible does not keep others away from where they are needed.
    const liar = { span: { first: 4, last: 8 }, stepsPerSecond: 1e6 };
    const honest = { span: { first: 0, last: 4 }, stepsPerSecond: 2 * limits.stepsPerSecondCredibleMax };
    expect(chooseSpan([liar, honest, honest], 8, 4)).toEqual({ first: 4, last: 8 });
  });
});
