import { embeddingShard, manifestFileName, manifestSignatureFileName, signManifest } from '@unfed/protocol';
import { VirtualClock } from '@unfed/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { SourceError } from './errors.ts';
import * as limits from './limits.ts';
import { RawPeer } from './raw-peer.fixture.ts';
import { fileOf, identity, isShard, model, seedOf, storeWith, world, type World } from './swarm.fixture.ts';
import { swarmProtocol } from '@unfed/protocol';
import type { RawFiles } from './verified-source.ts';

let here: World = world();
afterEach(() => here.stop());

const publisher = identity(7);
const code = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'none',
    (error: { code?: string }) => error.code,
  );
const gone: RawFiles = {
  read({ path }) {
    throw new SourceError({ failure: 'unreachable', path, transient: false }, 'the seed is gone');
  },
};

/** A peer written by hand that is announced for the model, and gives these bytes as its manifest. */
function giving(bytes: Uint8Array): void {
  const who = identity(66);
  here.network.peer(who).accept(swarmProtocol, (link) => {
    const raw = new RawPeer(link, (frame, peer) => {
      if (frame.kind !== 'ask-manifest') return;
      peer.send({ kind: 'manifest-part', offset: 0, totalBytes: bytes.length, bytes });
    });
    raw.hello();
  });
  here.announce(who, [model.hash]);
}

describe('a manifest from peers', () => {
  it('F5: comes where there is no seed, or the seed is gone, and a download can begin', async () => {
    here = world();
    here.peer(1, { store: await storeWith() });
    await here.announced(1);
    for (const [number, options] of [
      [2, {}],
      [3, { seed: gone }],
    ] as const) {
      const { swarm } = here.peer(number, options);
      const { manifest } = await swarm.manifest(model.hash);
      expect(manifest).toEqual(model.manifest);
      expect(isShard(embeddingShard, await swarm.shard(manifest, embeddingShard))).toBe(true);
    }
  });

  it('F5: is asked for when the seed has been silent for a while, and not before', async () => {
    const clock = new VirtualClock(1_700_000_000_000);
    here = world({ clock });
    here.peer(1, { store: await storeWith(), clock });
    await clock.advance(limits.notifyMs * 2);
    const silent: RawFiles = {
      read: ({ signal }) =>
        (async function* () {
          await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason as Error)));
          yield new Uint8Array();
        })(),
    };
    const peer = here.peer(2, { seed: silent, clock });
    const askedAtMs = clock.now();
    expect((await clock.until(peer.swarm.manifest(model.hash))).manifest).toEqual(model.manifest);
    expect(clock.now() - askedAtMs).toBeGreaterThanOrEqual(limits.manifestPatienceMs);
  });

  it('F5: is not asked of peers while the seed answers', async () => {
    here = world();
    const giver = here.peer(1, { store: await storeWith() });
    await here.announced(1);
    const seed = seedOf();
    await here.peer(2, { seed }).swarm.manifest(model.hash);
    expect([seed.reads.length, giver.swarm.upload.bytesSent]).toEqual([1, 0]);
  });

  it('F4: with another hash bans the peer that sent it, and is asked of the next', async () => {
    here = world();
    giving(new Uint8Array(1000));
    await here.announced(1);
    const alone = here.peer(2);
    expect(await code(alone.swarm.manifest(model.hash))).toBe('source-not-found');
    expect(alone.swarm.bans).toEqual([{ peer: identity(66).peer, reason: 'bad-bytes' }]);
    here.peer(1, { store: await storeWith() });
    await here.announced(2);
    expect((await here.peer(3).swarm.manifest(model.hash)).manifest).toEqual(model.manifest);
  });

  it("V4, F1: brings its publisher's signature where the pool names one, and is refused without", async () => {
    here = world();
    const options = { publisher: publisher.peer };
    here.peer(1, { store: await storeWith() });
    await here.announced(1);
    expect(await code(here.peer(2).swarm.manifest(model.hash, options))).toBe('manifest-unsigned');
    const store = await storeWith();
    const signature = new Uint8Array(signManifest(model.hash, publisher));
    await store.putFile(model.hash, manifestSignatureFileName, signature);
    here.peer(3, { store });
    await here.announced(2);
    const came = await here.peer(4).swarm.manifest(model.hash, options);
    expect([came.manifest, came.signature]).toEqual([model.manifest, signature]);
    const another = here.peer(5).swarm.manifest(model.hash, { publisher: identity(8).peer });
    expect(['manifest-unsigned', 'signature']).toContain(await code(another));
  });

  it('F2: is given only of models that are exchanged', async () => {
    here = world();
    const store = await storeWith([]);
    const { swarm, identity: who } = here.peer(1, { store });
    const raw = await RawPeer.dial(here.network, identity(66), who.peer);
    const ask = { kind: 'ask-manifest', manifest: model.hash, piece: 'manifest', offset: 0 } as const;
    raw.send(ask);
    expect(await raw.frame('manifest-part')).toMatchObject({ totalBytes: 0 });
    await swarm.want(model.manifest, [embeddingShard]);
    raw.frames.length = 0;
    raw.send(ask);
    expect((await raw.frame('manifest-part')).bytes).toEqual(fileOf(manifestFileName));
  });

  it('F1, F3: two asks at once, and a part that nobody asked for, end the link', async () => {
    here = world();
    const peer = here.peer(1, { store: await storeWith() });
    // So that the first ask is still waiting when the second comes.
    peer.swarm.setUploadCap(0);
    await here.announced(1);
    const ask = { kind: 'ask-manifest', manifest: model.hash, piece: 'manifest', offset: 0 } as const;
    const breaches: ((raw: RawPeer) => void)[] = [
      (raw) => [raw.send(ask), raw.send(ask)],
      (raw) => raw.send({ kind: 'manifest-part', offset: 0, totalBytes: 1, bytes: new Uint8Array(1) }),
    ];
    for (const [index, breach] of breaches.entries()) {
      const raw = await RawPeer.dial(here.network, identity(60 + index), peer.identity.peer);
      breach(raw);
      expect(await raw.frame('bye')).toEqual({ kind: 'bye', reason: 'bad-frame' });
    }
    expect(peer.swarm.bans.map(({ reason }) => reason)).toEqual(['bad-frame', 'bad-frame']);
  });
});
