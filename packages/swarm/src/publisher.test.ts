import { manifestSignatureFileName, signManifest } from '@unfed/protocol';
import { describe, expect, it } from 'vitest';
import { identity, model, seedOf, world } from './swarm.fixture.ts';
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
    await expect(source(seedOf()).manifest(model.hash, options)).rejects.toMatchObject({ code: 'source-not-found' });
    expect((await source(seedOf()).manifest(model.hash)).manifest).toEqual(model.manifest);
  });

  it('V4: a swarm asks for it also when it keeps the manifest already', async () => {
    const here = world();
    const peer = here.peer(1, { seed: seedOf() });
    await peer.swarm.manifest(model.hash);
    const manifest = peer.swarm.manifest(model.hash, { publisher: publisher.peer });
    await expect(manifest).rejects.toMatchObject({ code: 'source-not-found' });
    here.stop();
  });
});
