import { manifestSignatureFileName, signManifest } from '@unfed/protocol';
import { describe, expect, it } from 'vitest';
import { identity, model, seedOf, world } from './swarm.fixture.ts';
import { withPublishers } from './shard-source.ts';
import { verifiedSource, type RawFiles } from './verified-source.ts';

const publisher = identity(7);

/** The model's seed, with a signature beside the manifest. */
function signedSeed(signature: Uint8Array): RawFiles {
  const seed = seedOf();
  return {
    async *read(read) {
      if (read.path.endsWith(manifestSignatureFileName)) yield signature;
      else yield* seed.read(read);
    },
  };
}
const source = (files: RawFiles) => verifiedSource(files, { triesMax: 1, backoffMs: 0, backoffMsMax: 0 });

describe("a publisher's signature", () => {
  it('V4: is checked where the pool names a publisher, and not asked for elsewhere', async () => {
    const options = { publisher: publisher.peer };
    const good = source(signedSeed(signManifest(model.hash, publisher)));
    expect((await good.manifest(model.hash, options)).manifest).toEqual(model.manifest);
    const byOther = source(signedSeed(signManifest(model.hash, identity(8))));
    await expect(byOther.manifest(model.hash, options)).rejects.toMatchObject({ code: 'signature' });
    const long = source(signedSeed(new Uint8Array(65)));
    await expect(long.manifest(model.hash, options)).rejects.toMatchObject({ code: 'source-too-long' });
    await expect(source(seedOf()).manifest(model.hash, options)).rejects.toMatchObject({ code: 'manifest-unsigned' });
    expect((await source(seedOf()).manifest(model.hash)).manifest).toEqual(model.manifest);
  });

  it('V4: a swarm asks for it also when it keeps the manifest already, and keeps both', async () => {
    const here = world();
    const options = { publisher: publisher.peer };
    const unsigned = here.peer(1, { seed: seedOf() });
    await unsigned.swarm.manifest(model.hash);
    await expect(unsigned.swarm.manifest(model.hash, options)).rejects.toMatchObject({ code: 'manifest-unsigned' });
    const { store } = unsigned;
    const signed = here.peer(2, { seed: signedSeed(signManifest(model.hash, publisher)), store });
    await signed.swarm.manifest(model.hash, options);
    const later = here.peer(3, { store });
    expect((await later.swarm.manifest(model.hash, options)).manifest).toEqual(model.manifest);
    const another = later.swarm.manifest(model.hash, { publisher: identity(8).peer });
    await expect(another).rejects.toMatchObject({ code: 'source-not-found' });
    here.stop();
  });

  it('V4: a source with the publishers of pools asks for the signatures of theirs alone', async () => {
    const named = (files: RawFiles) => withPublishers(source(files), (hash) => publishers.get(hash));
    const publishers = new Map([[model.hash, publisher.peer]]);
    await expect(named(seedOf()).manifest(model.hash)).rejects.toMatchObject({ code: 'manifest-unsigned' });
    const signed = named(signedSeed(signManifest(model.hash, publisher)));
    expect((await signed.manifest(model.hash)).manifest).toEqual(model.manifest);
    publishers.clear();
    expect((await named(seedOf()).manifest(model.hash)).manifest).toEqual(model.manifest);
  });
});
