import { encodeManifest, hashManifest, swarmProtocol, type Manifest, type ManifestHash } from '@unfed/protocol';
import { afterEach, describe, expect, it } from 'vitest';
import { RawPeer } from './raw-peer.fixture.ts';
import { identity, model, seedOf, storeWith, world, type World } from './swarm.fixture.ts';
import type { RawFiles } from './verified-source.ts';

let here: World = world();
afterEach(() => here.stop());

const { shards } = model.manifest;
const [embedding, first, second, head] = shards;
const bent = (changed: Manifest['shards']): Uint8Array => encodeManifest({ ...model.manifest, shards: changed });

/** Manifests that have the hash they are asked for by, and are none. */
const bad: Record<string, Uint8Array> = {
  'chunks that overlap': bent([
    { ...embedding, chunks: [...embedding.chunks, embedding.chunks[0]] },
    first,
    second,
    head,
  ]),
  'chunks that leave a gap': bent([{ ...embedding, chunks: embedding.chunks.slice(1) }, first, second, head]),
  'a shard twice': bent([embedding, first, first, head]),
  'a hash that is not one': bent([
    { ...embedding, chunks: embedding.chunks.map((it) => it.subarray(1)) },
    first,
    second,
    head,
  ]),
  'more than CBOR': new Uint8Array([...encodeManifest(model.manifest), 0]),
};

/** The model's seed, with one more manifest. */
function seedGiving(hash: ManifestHash, bytes: Uint8Array): RawFiles {
  const seed = seedOf();
  return {
    async *read(read) {
      if (read.path.startsWith(hash)) yield bytes;
      else yield* seed.read(read);
    },
  };
}

function peerGiving(hash: ManifestHash, bytes: Uint8Array): void {
  const who = identity(66);
  here.network.peer(who).accept(swarmProtocol, (link) => {
    const raw = new RawPeer(link, (frame, peer) => {
      if (frame.kind === 'ask-manifest')
        peer.send({ kind: 'manifest-part', offset: 0, totalBytes: bytes.length, bytes });
    });
    raw.send({ kind: 'hello', slot: 0, manifest: hash });
  });
  here.announce(who, [hash]);
}

describe('a manifest that is none', () => {
  for (const [name, bytes] of Object.entries(bad)) {
    it(`V4: with ${name} is refused whoever gives it, and other models go on`, async () => {
      here = world();
      const hash = hashManifest(bytes);
      here.peer(1, { store: await storeWith() });
      peerGiving(hash, bytes);
      await here.announced(2);
      const ofSeed = here.peer(2, { seed: seedGiving(hash, bytes) });
      const ofPeer = here.peer(3, { seed: seedOf() });
      for (const { swarm } of [ofSeed, ofPeer]) {
        await expect(swarm.manifest(hash)).rejects.toMatchObject({ code: 'decode' });
        expect((await swarm.manifest(model.hash)).manifest).toEqual(model.manifest);
        expect(swarm.bans).toEqual([]);
      }
    });
  }
});
