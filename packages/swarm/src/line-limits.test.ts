import { embeddingShard } from '@unfed/protocol';
import { VirtualClock } from '@unfed/testing';
import { afterEach, describe, expect, it } from 'vitest';
import * as limits from './limits.ts';
import { allShards, isShard, model, seedOf, storeWith, world, type TestPeer, type World } from './swarm.fixture.ts';

const cap = 256 << 10;
/** What may pass beside the rate: a bucketful, and the part that it lets through last. */
const burstBytes = (cap * limits.bucketMs) / 1000 + limits.partBytesMax;
const totalBytes = model.manifest.shards.reduce((sum, { bytes }) => sum + bytes, 0);

let here: World = world();
afterEach(() => here.stop());

const shards = (peer: TestPeer): Promise<boolean[]> =>
  Promise.all(allShards.map(async (id) => isShard(id, await peer.swarm.shard(model.manifest, id))));
const whole = [true, true, true, true];

/** Looks every second whether more passed than may; until `done`. @returns seconds */
async function watch(clock: VirtualClock, passedBytes: () => number, done: Promise<unknown>): Promise<number> {
  let isDone = false;
  done.then(
    () => (isDone = true),
    () => (isDone = true),
  );
  const beganBytes = passedBytes();
  for (let seconds = 1; ; seconds++) {
    await clock.advance(1000);
    expect(passedBytes() - beganBytes).toBeLessThanOrEqual(cap * seconds + burstBytes);
    if (isDone) return seconds;
    if (seconds > 1000) throw new Error('expected the download to end, came no end');
  }
}

describe('the limits of a line', () => {
  it('K5: the upload cap holds for all peers together, from when it is set', async () => {
    const clock = new VirtualClock(1_700_000_000_000);
    here = world({ clock });
    const giver = here.peer(1, { store: await storeWith(), clock });
    giver.swarm.setUploadCap(cap);
    await clock.advance(limits.notifyMs * 2);
    const takers = [here.peer(2, { clock }), here.peer(3, { clock })];
    const done = Promise.all(takers.map(shards));
    const seconds = await watch(clock, () => giver.swarm.upload.bytesSent, done);
    expect(await done).toEqual([whole, whole]);
    expect(seconds).toBeGreaterThanOrEqual(Math.floor((totalBytes - burstBytes) / cap));
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

  it('P5: a limit on downloads holds for what peers send, and its end is felt at once', async () => {
    const clock = new VirtualClock(1_700_000_000_000);
    here = world({ clock });
    for (const number of [1, 2]) here.peer(number, { store: await storeWith(), clock });
    await clock.advance(limits.notifyMs * 2);
    const taker = here.peer(3, { clock });
    taker.swarm.setDownloadLimit(cap);
    const fromPeers = (): number => taker.swarm.progress[0]?.bytesFromPeers ?? 0;
    const one = taker.swarm.shard(model.manifest, embeddingShard);
    await watch(clock, fromPeers, one);
    expect(isShard(embeddingShard, await one)).toBe(true);
    taker.swarm.setDownloadLimit(Infinity);
    const beganBytes = fromPeers();
    void shards(taker);
    await clock.advance(1000);
    expect(fromPeers() - beganBytes).toBeGreaterThan(cap + burstBytes);
  });
});
