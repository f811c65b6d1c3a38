/** The suite that every ShardSource must pass. Runs under vitest. */
import * as protocol from '@unfed/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modelFixture } from './model.fixture.ts';
import type { ShardSource } from './shard-source.ts';

export interface ShardSourceFixture {
  readonly source: ShardSource;
  /** Replaces what the source reads under this path; null removes it. Lasts for the next test only. */
  put(path: string, bytes: Uint8Array<ArrayBuffer> | null): Promise<void>;
  stop(): Promise<void>;
}

const model = modelFixture();
const { embeddingShard, layerShard, headShard, shardFileName } = protocol;
const pathOf = (file: string): string => `${model.hash}/${file}`;
const contents = (file: string): Uint8Array<ArrayBuffer> => model.files.get(file)?.slice() ?? new Uint8Array();
const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'nothing was thrown',
    (error: unknown) => error,
  );

export function shardSourceSuite(name: string, factory: () => Promise<ShardSourceFixture>): void {
  describe(`shard source: ${name}`, () => {
    let fixture: ShardSourceFixture;
    beforeAll(async () => {
      fixture = await factory();
    });
    afterAll(() => fixture.stop());

    /** Runs `body` while a file is another one. */
    async function whilePut(
      file: string,
      bytes: Uint8Array<ArrayBuffer> | null,
      body: () => Promise<void>,
    ): Promise<void> {
      await fixture.put(pathOf(file), bytes);
      try {
        await body();
      } finally {
        await fixture.put(pathOf(file), contents(file));
      }
    }
    const shard = (id: protocol.ShardId) => fixture.source.shard(model.manifest, id);

    it('gives the manifest with its bytes', async () => {
      const { manifest, bytes } = await fixture.source.manifest(model.hash);
      expect(manifest).toEqual(model.manifest);
      expect(protocol.hashManifest(bytes)).toBe(model.hash);
    });

    it('gives every shard whole', async () => {
      for (const id of [embeddingShard, layerShard(0), layerShard(1), headShard]) {
        expect(Buffer.compare(await shard(id), contents(shardFileName(id)))).toBe(0);
      }
    });

    it('gives the small files', async () => {
      for (const file of ['tokenizer', 'tokenizerConfig', 'config'] as const) {
        const bytes = await fixture.source.file(model.manifest, file);
        expect(Buffer.compare(bytes, contents(protocol.manifestFileNames[file]))).toBe(0);
      }
    });

    it('says so when the manifest has no such file or shard', async () => {
      const { source } = fixture;
      expect(await failure(source.file(model.manifest, 'generationConfig'))).toMatchObject({ code: 'invalid-value' });
      expect(await failure(source.shard(model.manifest, layerShard(2)))).toMatchObject({ code: 'decode' });
    });

    it('tells progress in verified bytes that add up to the shard', async () => {
      const steps: number[] = [];
      await fixture.source.shard(model.manifest, embeddingShard, { onProgress: (bytes) => steps.push(bytes) });
      expect(steps).toEqual([1 << 20, 1 << 20, 12_345]);
    });

    it('refuses a shard with one changed byte, wherever it is', async () => {
      const file = shardFileName(embeddingShard);
      for (const at of [0, (1 << 20) - 1, 1 << 20, 2 * (1 << 20) + 12_344]) {
        const changed = contents(file);
        changed[at] = (changed[at] ?? 0) ^ 1;
        await whilePut(file, changed, async () => {
          expect(await failure(shard(embeddingShard))).toMatchObject({ code: 'hash-mismatch' });
        });
      }
    });

    it('refuses small files and manifests with one changed byte', async () => {
      const changed = contents('tokenizer.json');
      changed[5] = (changed[5] ?? 0) ^ 128;
      await whilePut('tokenizer.json', changed, async () => {
        expect(await failure(fixture.source.file(model.manifest, 'tokenizer'))).toMatchObject({
          code: 'hash-mismatch',
        });
      });
      const lying = contents('manifest.cbor');
      lying[lying.length - 1] = (lying.at(-1) ?? 0) ^ 1;
      await whilePut('manifest.cbor', lying, async () => {
        expect(await failure(fixture.source.manifest(model.hash))).toMatchObject({ code: 'hash-mismatch' });
      });
    });

    it('refuses a file that is cut off, and one that is longer', async () => {
      for (const id of [embeddingShard, layerShard(0), headShard]) {
        const file = shardFileName(id);
        const bytes = contents(file);
        await whilePut(file, bytes.slice(0, -1), async () => {
          expect(await failure(shard(id))).toMatchObject({ code: 'source-too-short' });
        });
        const longer = new Uint8Array(bytes.length + 1);
        longer.set(bytes);
        await whilePut(file, longer, async () => {
          expect(await failure(shard(id))).toMatchObject({ code: 'source-too-long' });
        });
      }
    });

    it('says not-found for a file that is not there', async () => {
      await whilePut(shardFileName(headShard), null, async () => {
        expect(await failure(shard(headShard))).toMatchObject({ code: 'source-not-found' });
      });
      const unknown = protocol.manifestHash('0'.repeat(64));
      expect(await failure(fixture.source.manifest(unknown))).toMatchObject({ code: 'source-not-found' });
    });

    it("rejects with the signal's reason", async () => {
      const reason = new Error('enough');
      const signal = AbortSignal.abort(reason);
      expect(await failure(fixture.source.shard(model.manifest, embeddingShard, { signal }))).toBe(reason);
      expect(await failure(fixture.source.manifest(model.hash, { signal }))).toBe(reason);
      const controller = new AbortController();
      const options = { signal: controller.signal, onProgress: () => controller.abort(reason) };
      expect(await failure(fixture.source.shard(model.manifest, embeddingShard, options))).toBe(reason);
    });
  });
}
