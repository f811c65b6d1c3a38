/** A pool that names its publisher, from the folder on the relay's disk to whoever asks for the manifest. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { identityFromSeed, manifestHash, signManifest, type ManifestHash, type PeerId } from '@unfed/protocol';
import { httpSeed, withPublishers } from '@unfed/swarm';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { tinyModel } from './model.fixture.ts';
import { startRelay, type RelayService } from './relay.ts';

const publisher = identityFromSeed(new Uint8Array(32).fill(1));
const stranger = identityFromSeed(new Uint8Array(32).fill(2));
let folder = '';
let relay: RelayService | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'unfed-publisher-'));
});
afterEach(async () => {
  await relay?.stop();
  await rm(folder, { recursive: true });
});

async function addModel(name: string): Promise<ManifestHash> {
  const { hash, bytes } = tinyModel(name);
  await mkdir(join(folder, hash));
  await writeFile(join(folder, hash, 'manifest.cbor'), bytes);
  return hash;
}
const sign = (hash: ManifestHash, signature: Uint8Array): Promise<void> =>
  writeFile(join(folder, hash, 'manifest.sig'), signature);

async function start(named?: PeerId): Promise<{ events: string[]; listed: () => Promise<unknown> }> {
  const events: string[] = [];
  const onEvent = (line: string): number => events.push(line);
  const service = await startRelay({
    host: '127.0.0.1',
    port: 0,
    stunPort: 0,
    modelsDir: folder,
    publisher: named,
    onEvent,
  });
  relay = service;
  const listed = async (): Promise<unknown> =>
    ((await (await fetch(`${service.url}/relay.json`)).json()) as { models: unknown }).models;
  return { events, listed };
}
const manifestOf = (hash: ManifestHash): Promise<{ manifest: { name: string } }> => {
  const seed = httpSeed({ baseUrl: `${relay?.url}/models`, triesMax: 1 });
  return withPublishers(seed, () => publisher.peer).manifest(hash);
};

it('V4: the signed manifest of a pool that names its publisher is accepted; a wrong or missing signature is refused', async () => {
  const [signed, wrong, short, missing] = await Promise.all(['signed', 'wrong', 'short', 'missing'].map(addModel));
  await sign(signed, signManifest(signed, publisher));
  await sign(wrong, signManifest(wrong, stranger));
  await sign(short, signManifest(short, publisher).subarray(0, 63));
  await start();
  expect((await manifestOf(signed)).manifest.name).toBe('signed');
  await expect(manifestOf(wrong)).rejects.toMatchObject({
    code: 'signature',
    message: expect.stringMatching(/signature .* is not by 12D3Koo\w+; drop it$/) as string,
  });
  for (const hash of [short, missing]) {
    await expect(manifestOf(hash)).rejects.toMatchObject({
      code: 'manifest-unsigned',
      message: expect.stringMatching(
        /expected a signature by 12D3Koo\w+, came none; ask its publisher for one$/,
      ) as string,
    });
  }
  await sign(missing, signManifest(missing, publisher));
  expect((await manifestOf(missing)).manifest.name).toBe('missing');
});

it('a relay that names a publisher serves what it signed alone, and says which peer that is', async () => {
  const [signed, wrong] = await Promise.all(['signed', 'wrong'].map(addModel));
  await sign(signed, signManifest(signed, publisher));
  await sign(wrong, signManifest(wrong, stranger));
  const { events, listed } = await start(publisher.peer);
  expect(await listed()).toEqual([{ manifest: signed, name: 'signed', publisher: publisher.peer }]);
  expect(events).toEqual([expect.stringContaining(wrong)]);
  await expect(manifestOf(wrong)).rejects.toMatchObject({ code: 'source-not-found' });
});

it('a signature may change while its model stays: only the model is kept for ever', async () => {
  const hash = await addModel('signed');
  await sign(hash, signManifest(hash, publisher));
  await start();
  const cacheOf = async (file: string): Promise<string | null> =>
    (await fetch(`${relay?.url}/models/${manifestHash(hash)}/${file}`)).headers.get('cache-control');
  expect([await cacheOf('manifest.cbor'), await cacheOf('manifest.sig')]).toEqual([
    expect.stringContaining('immutable'),
    'no-cache',
  ]);
});
