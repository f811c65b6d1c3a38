import { join } from 'node:path';
import { DeviceLostError, RuntimeFailedError, type Engine } from '@unfed/engine/node';
import { createStageLinks, limits as inferenceLimits, openDirectRoute, type StageLinks } from '@unfed/inference';
import { createMemoryPool, SummingRunner, testIdentity, type MemoryPool } from '@unfed/inference/suites';
import { ensureDemoModel } from '@unfed/model/node';
import type { Network } from '@unfed/network';
import type { Manifest, ManifestHash, SessionId, StageOffer } from '@unfed/protocol';
import { folderSource } from '@unfed/swarm/node';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createDonation, type DonationParts } from './donation.ts';
import type { Donation } from './peer.ts';

const modelsDir = join(import.meta.dirname, '../../../build/models');
const source = folderSource(modelsDir);
let hash: ManifestHash;
let manifest: Manifest;
let pool: MemoryPool;
let asker: StageLinks;
let donation: Donation;
let offers: (StageOffer | null)[];
let engines: { disposed: boolean }[];
/** Stages that circuits lead to now. */
let stagesOfCircuits: number;
/** What the runner fails with from now on. */
let lose: Error | undefined;

beforeAll(async () => {
  ({ hash, manifest } = await ensureDemoModel(modelsDir));
}, 120_000);

beforeEach(() => {
  pool = createMemoryPool([], { width: manifest.architecture.width, manifest: hash, seed: 1 });
  asker = createStageLinks(pool.network.peer(testIdentity(9)));
  offers = [];
  engines = [];
  stagesOfCircuits = 0;
  lose = undefined;
  donation = createDonation(partsOf());
});
afterEach(async () => {
  await donation.stop();
  pool.stop();
});

class MortalRunner extends SummingRunner {
  override async open(session: SessionId): Promise<'opened' | 'busy'> {
    if (lose !== undefined) throw lose;
    return super.open(session);
  }
}

/** What a donation stands on, with an engine that adds instead of computing layers. */
function partsOf(): DonationParts {
  const { links, identity } = pool.client;
  const memory = pool.network.directory(identity.peer);
  const directory = { announcements: () => memory.announcements(), onChange: () => () => undefined, whole: true };
  return {
    links,
    circuits: {
      serve: () => {
        stagesOfCircuits++;
        return () => void stagesOfCircuits--;
      },
    },
    weights: { join: async () => source, fetch: async ({ span }) => span, leave: () => undefined },
    network: { self: identity.peer, directory } as unknown as Network,
    announcer: { offer: (stage) => void offers.push(stage), exchange: () => undefined, stop: () => undefined },
    onChange: () => undefined,
    platform: {
      createEngine: async ({ signal }) => {
        const state = { disposed: false };
        engines.push(state);
        signal?.throwIfAborted();
        const engine: Pick<Engine, 'backend' | 'note' | 'loadSpan' | 'measure' | 'dispose'> = {
          backend: 'node-cpu',
          note: '',
          loadSpan: async (spec) => new MortalRunner(spec.span, spec.architecture.width),
          measure: async () => 100,
          dispose: async () => void (state.disposed = true),
        };
        return engine as Engine;
      },
    },
  };
}

async function openSession(): Promise<void> {
  const { architecture } = manifest;
  const span = { first: 0, last: architecture.layers };
  await openDirectRoute({
    links: asker,
    directory: pool.network.directory(asker.self),
    hops: [{ peer: pool.client.identity.peer, span, backend: 'node-cpu' }],
    manifest: hash,
    width: architecture.width,
    positionsMax: 8,
    precision: 'f32',
  });
}

describe('donation', () => {
  it('a stopped donation stays withdrawn, also when sessions were open', async () => {
    await donation.start({ manifest: hash });
    await openSession();
    expect(donation.state).toMatchObject({ kind: 'serving', sessions: 1 });
    expect(offers.at(-1)).toMatchObject({ queueLength: 1 });
    expect(stagesOfCircuits).toBe(1);
    await donation.stop();
    expect(offers.at(-1)).toBeNull();
    expect(donation.state).toEqual({ kind: 'off' });
    expect(stagesOfCircuits).toBe(0);
  });

  it('of starts in quick succession the last one serves, and nothing of the others stays', async () => {
    await Promise.all([donation.start({ manifest: hash }), donation.start({ manifest: hash })]);
    expect(donation.state).toMatchObject({ kind: 'serving' });
    expect(offers.at(-1)).not.toBeNull();
    expect(engines.filter(({ disposed }) => !disposed)).toHaveLength(1);
    expect(stagesOfCircuits).toBe(1);
  });

  it('stopped while it starts: off, not failed, and the engine is given back', async () => {
    const starting = donation.start({ manifest: hash });
    await donation.stop();
    await starting;
    expect(donation.state).toEqual({ kind: 'off' });
    expect(offers.filter((offer) => offer !== null)).toEqual([]);
    expect(engines.every(({ disposed }) => disposed)).toBe(true);
  });

  it('a GPU that is lost ends the donation, withdrawn and with the reason: nobody is sent to it any more', async () => {
    await donation.start({ manifest: hash });
    lose = new DeviceLostError('unplugged');
    await expect(openSession()).rejects.toMatchObject({ reason: 'device-lost' });
    await vi.waitUntil(() => donation.state.kind === 'failed');
    expect(donation.state).toMatchObject({ kind: 'failed', error: { code: 'device-lost' } });
    expect(offers.at(-1)).toBeNull();
    expect(engines.every(({ disposed }) => disposed)).toBe(true);
  });

  it('a runtime that fails again and again ends the donation too; once alone it does not', async () => {
    await donation.start({ manifest: hash });
    lose = new RuntimeFailedError('running layers', 'the worker is gone');
    await expect(openSession()).rejects.toMatchObject({ reason: 'runtime-failed' });
    expect(donation.state.kind).toBe('serving');
    for (let i = 1; i < inferenceLimits.runnerFailuresMax; i++) await openSession().catch(() => undefined);
    await vi.waitUntil(() => donation.state.kind === 'failed');
  });
});
