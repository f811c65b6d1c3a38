import { identityFromSeed, LinkError, signAnnouncement, type Announcement, type Identity } from '@unfed/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from './clock.ts';
import { linkSuite, patternedFrame } from './link-suite.ts';
import { FrameChangedError } from './memory-link.ts';
import { createMemoryNetwork, type MemoryNetworkOptions } from './memory-network.ts';

const identity = (n: number): Identity => identityFromSeed(new Uint8Array(32).fill(n));
const [ann, ben, eve] = [identity(1), identity(2), identity(3)];
const protocol = '/unfed/test/1';

function suiteOn(options: Omit<MemoryNetworkOptions, 'seed'>, clock?: VirtualClock) {
  return async () => {
    const network = createMemoryNetwork({ seed: 7, ...options, ...(clock && { clock }) });
    return {
      a: { links: network.peer(ann), addresses: [] },
      b: { links: network.peer(ben), addresses: [] },
      stranger: eve.peer,
      frameBytesMax: (4 << 20) + 4096,
      ...(clock && { settle: <T>(promise: Promise<T>) => clock.until(promise) }),
      stop: async () => network.stop(),
    };
  };
}

linkSuite('memory, real time, no delay', suiteOn({}));
linkSuite(
  'memory, virtual time, far and lossy',
  suiteOn({ delayMs: 80, jitterMs: 40, lossRate: 0.1 }, new VirtualClock()),
);

/** A small busy day on a bad network. @returns what came, where and when */
async function busyDay(seed: number): Promise<string[]> {
  const clock = new VirtualClock();
  const network = createMemoryNetwork({ seed, clock, delayMs: 20, jitterMs: 30, lossRate: 0.05 });
  const log: string[] = [];
  for (const each of [ann, ben, eve]) {
    network.peer(each).accept(protocol, (link) => {
      link.onFrame((frame) => void log.push(`${clock.now()} ${each.peer.slice(-4)} ${frame.length} ${frame[0]}`));
      void link.closed.then((error) => log.push(`${clock.now()} ${each.peer.slice(-4)} ${error?.code ?? 'closed'}`));
    });
  }
  const send = async (from: Identity, to: Identity, count: number): Promise<void> => {
    const link = await network.peer(from).open(to.peer, protocol);
    for (let i = 0; i < count; i++) await link.send(patternedFrame(i, 10 + i * 700));
  };
  await clock.until(Promise.all([send(ann, ben, 30), send(ben, eve, 20), send(eve, ann, 10)]));
  clock.after(15, () => network.leave(eve.peer));
  await clock.advance(5000);
  return log;
}

describe('memory network', () => {
  it('gives the same run for the same seed, and another for another', async () => {
    const run = await busyDay(11);
    expect(run.length).toBeGreaterThan(30);
    expect(await busyDay(11)).toEqual(run);
    expect(await busyDay(12)).not.toEqual(run);
  });

  it('keeps frames whole and in order at any delay, jitter and loss', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          seed: fc.nat(),
          delayMs: fc.nat(300),
          jitterMs: fc.nat(300),
          lossRate: fc.double({ min: 0, max: 0.5, noNaN: true }),
        }),
        fc.array(fc.nat(3000), { minLength: 1, maxLength: 20 }),
        async (path, sizes) => {
          const clock = new VirtualClock();
          const network = createMemoryNetwork({ ...path, clock });
          const came: number[] = [];
          network.peer(ben).accept(protocol, (link) => link.onFrame((frame) => void came.push(frame.length)));
          const link = await clock.until(network.peer(ann).open(ben.peer, protocol));
          for (const bytes of sizes) await clock.until(link.send(new Uint8Array(bytes)));
          await clock.advance(10 * 60_000);
          expect(came).toEqual(sizes);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('takes one delay each way', async () => {
    const clock = new VirtualClock();
    const network = createMemoryNetwork({ seed: 1, clock, delayMs: 50 });
    network.peer(ben).accept(protocol, (link) => link.onFrame((frame) => link.send(frame)));
    const link = await clock.until(network.peer(ann).open(ben.peer, protocol));
    expect(clock.now()).toBe(100);
    const back = new Promise<number>((resolve) => link.onFrame(() => resolve(clock.now())));
    await link.send(Uint8Array.of(1));
    expect(await clock.until(back)).toBe(200);
  });

  it('shows a sender that changes a frame before send() resolved', async () => {
    const network = createMemoryNetwork({ seed: 1 });
    network.peer(ben).accept(protocol, () => undefined);
    const link = await network.peer(ann).open(ben.peer, protocol);
    const frame = new Uint8Array(8);
    const sending = link.send(frame);
    frame[3] = 1;
    await expect(sending).rejects.toBeInstanceOf(FrameChangedError);
  });

  it('ends the links of a peer that leaves, with peer-left at the others, after what it had sent', async () => {
    const clock = new VirtualClock();
    const network = createMemoryNetwork({ seed: 1, clock, delayMs: 10 });
    const came: number[] = [];
    network.peer(ben).accept(protocol, (link) => link.onFrame((frame) => void came.push(frame[0] ?? -1)));
    const [far, near] = await clock.until(
      Promise.all([
        new Promise<{ closed: Promise<unknown> }>((resolve) => {
          network.peer(eve).accept(protocol, resolve);
        }),
        network.peer(ben).open(eve.peer, protocol),
      ]),
    );
    const toBen = await clock.until(network.peer(ann).open(ben.peer, protocol));
    await toBen.send(Uint8Array.of(9));
    network.leave(ann.peer);
    network.leave(eve.peer);
    expect(await clock.until(near.closed)).toMatchObject({ code: 'link-peer-left' });
    expect(await clock.until(far.closed)).toBeUndefined();
    expect(came).toEqual([9]);
    await expect(clock.until(network.peer(ben).open(eve.peer, protocol))).rejects.toBeInstanceOf(LinkError);
  });

  it('lets a peer that left come back', async () => {
    const network = createMemoryNetwork({ seed: 1 });
    network.peer(ben);
    network.leave(ben.peer);
    network.peer(ben).accept(protocol, () => undefined);
    expect((await network.peer(ann).open(ben.peer, protocol)).peer).toBe(ben.peer);
  });

  it('ends what is cut, at both ends, and opens it again when healed', async () => {
    const network = createMemoryNetwork({ seed: 1 });
    network.peer(ben).accept(protocol, () => undefined);
    const link = await network.peer(ann).open(ben.peer, protocol);
    network.cut(ann.peer, ben.peer);
    expect(await link.closed).toMatchObject({ code: 'link-closed' });
    await expect(network.peer(ann).open(ben.peer, protocol)).rejects.toMatchObject({ code: 'link-unreachable' });
    network.heal(ann.peer, ben.peer);
    expect((await network.peer(ann).open(ben.peer, protocol)).peer).toBe(ben.peer);
  });
});

describe('memory directory', () => {
  const offer = (who: Identity, atMs: number): Announcement => ({
    peer: who.peer,
    issuedAtMs: atMs,
    expiresAtMs: atMs + 60_000,
    stage: null,
    hopKeys: [],
    operator: null,
    addresses: [],
    seeds: [],
  });

  it('shows an announcement to all after one delay, and its withdrawal', async () => {
    const clock = new VirtualClock(1_000_000);
    const network = createMemoryNetwork({ seed: 1, clock, delayMs: 30 });
    const view = network.directory(ben.peer);
    let changes = 0;
    view.onChange(() => changes++);
    network.directory(ann.peer).announce(signAnnouncement(offer(ann, clock.now()), ann));
    await clock.advance(29);
    expect(view.announcements()).toEqual([]);
    await clock.advance(1);
    expect(view.announcements().map((each) => each.peer)).toEqual([ann.peer]);
    expect(network.directory(eve.peer).announcements()).toHaveLength(1);
    network.directory(ann.peer).withdraw();
    await clock.advance(30);
    expect(view.announcements()).toEqual([]);
    expect(changes).toBe(2);
  });

  it('drops what expired and who left', async () => {
    const clock = new VirtualClock(1_000_000);
    const network = createMemoryNetwork({ seed: 1, clock });
    const view = network.directory(ben.peer);
    for (const each of [ann, eve])
      network.directory(each.peer).announce(signAnnouncement(offer(each, clock.now()), each));
    await clock.advance(1);
    network.leave(eve.peer);
    await clock.advance(1);
    expect(view.announcements().map((each) => each.peer)).toEqual([ann.peer]);
    await clock.advance(60_000 + 30_001);
    expect(view.announcements()).toEqual([]);
  });

  it("refuses another peer's announcement and a forged one", () => {
    const network = createMemoryNetwork({ seed: 1, clock: new VirtualClock(1_000_000) });
    const own = signAnnouncement(offer(ann, 1_000_000), ann);
    const forged = signAnnouncement(offer(ann, 1_000_000), eve);
    expect(() => network.directory(eve.peer).announce(own)).toThrow(expect.objectContaining({ code: 'invalid-value' }));
    expect(() => network.directory(ann.peer).announce(forged)).toThrow(expect.objectContaining({ code: 'signature' }));
  });
});
