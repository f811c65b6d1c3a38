import { asError, embeddingShard } from '@unfed/protocol';
import { VirtualClock } from '@unfed/testing';
import { afterEach, describe, expect, it } from 'vitest';
import * as limits from './limits.ts';
import { RateMeter } from './rate-meter.ts';
import { Serving } from './serving.ts';
import { allShards, isShard, model, seedOf, storeWith, world, type TestPeer, type World } from './swarm.fixture.ts';
import { TokenBucket } from './token-bucket.ts';

/** What may pass in a second, and beside that: a bucketful, and the part that it lets through last. */
const cap = 2 << 20;
const burstBytes = (cap * limits.bucketMs) / 1000 + limits.partBytesMax;

let here: World = world();
afterEach(() => here.stop());

const shards = (peer: TestPeer): Promise<boolean[]> =>
  Promise.all(allShards.map(async (id) => isShard(id, await peer.swarm.shard(model.manifest, id))));
const whole = [true, true, true, true];

/** Waits for `done`, and looks whenever the swarm changes whether more passed than may have. */
async function watched<T>({ swarm }: TestPeer, passedBytes: () => number, done: Promise<T>): Promise<T> {
  const beganMs = performance.now();
  const look = (): void => {
    // Bytes first: on a busy machine time passes between the two.
    const bytes = passedBytes();
    expect(bytes).toBeLessThanOrEqual((cap * (performance.now() - beganMs)) / 1000 + burstBytes);
  };
  const failed = new Promise<never>((_, reject) => {
    swarm.onChange(() => {
      try {
        look();
      } catch (error) {
        reject(asError(error));
      }
    });
  });
  failed.catch(() => undefined);
  const value = await Promise.race([done, failed]);
  look();
  return value;
}

describe('the limits of a line', () => {
  it('K5: the upload cap bounds the bytes of every second, for all peers together', async () => {
    const clock = new VirtualClock();
    const upload = new TokenBucket(clock, cap);
    let sentBytes = 0;
    const servings = [0, 1, 2].map(() => {
      const serving = new Serving({
        clock,
        upload,
        sendPart: async () => undefined,
        reject: () => undefined,
        find: () => ({ key: '0', bytes: 1 << 20, read: async () => new Uint8Array(1 << 20) }),
        taken: new RateMeter(),
        onSent: (bytes) => (sentBytes += bytes),
        onLeft: () => undefined,
        onFlood: () => undefined,
      });
      serving.open();
      for (let id = 0; id < 8; id++) serving.add({ id, slot: 0, shard: 0, chunk: 0, offset: 0, bytes: 1 << 20 });
      return serving;
    });
    for (let seconds = 1; seconds <= 12; seconds++) {
      await clock.advance(1000);
      expect(sentBytes).toBeLessThanOrEqual(cap * seconds + burstBytes);
      expect(sentBytes).toBeGreaterThanOrEqual(Math.min(24 << 20, cap * seconds - burstBytes));
    }
    for (const serving of servings) serving.stop();
  });

  it('K5: a swarm gives no more than its upload cap, to however many', async () => {
    here = world();
    const giver = here.peer(1, { store: await storeWith() });
    giver.swarm.setUploadCap(cap);
    await here.announced(1);
    const done = Promise.all([here.peer(2), here.peer(3)].map(shards));
    expect(await watched(giver, () => giver.swarm.upload.bytesSent, done)).toEqual([whole, whole]);
  });

  it('K5: nothing is given while the cap is 0', async () => {
    const clock = new VirtualClock(1_700_000_000_000);
    here = world({ clock });
    const giver = here.peer(1, { store: await storeWith(), clock });
    giver.swarm.setUploadCap(0);
    await clock.advance(limits.notifyMs * 2);
    const taker = here.peer(2, { clock, seed: seedOf() });
    expect(await clock.until(shards(taker))).toEqual(whole);
    expect([giver.swarm.upload.bytesSent, taker.swarm.progress[0].bytesFromPeers]).toEqual([0, 0]);
  });

  it('P5: a limit on downloads holds for all that peers send, until it is lifted', async () => {
    here = world();
    for (const number of [1, 2]) here.peer(number, { store: await storeWith() });
    await here.announced(2);
    const taker = here.peer(3);
    taker.swarm.setDownloadLimit(cap);
    const fromPeers = (): number => taker.swarm.progress[0]?.bytesFromPeers ?? 0;
    const shard = taker.swarm.shard(model.manifest, embeddingShard);
    expect(isShard(embeddingShard, await watched(taker, fromPeers, shard))).toBe(true);
    taker.swarm.setDownloadLimit(Infinity);
    expect(await shards(taker)).toEqual(whole);
  });
});
