/** The acceptance suite of `Links` and `Link`: every implementation must pass it. Runs under vitest. */
import { LinkError, type Link, type Links, type PeerId } from '@unfed/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seededRandom, seedFrom } from './random.ts';

/** One of the two peers of the suite. */
export interface LinkSuitePeer {
  readonly links: Links;
  /** Where the other finds it; empty where its id is enough. */
  readonly addresses: readonly string[];
}

export interface LinkSuiteFixture {
  readonly a: LinkSuitePeer;
  readonly b: LinkSuitePeer;
  /** A peer that nobody can reach. */
  readonly stranger: PeerId;
  readonly frameBytesMax: number;
  /** Waits for a promise; where time is virtual, by moving it. Default: awaits it. */
  readonly settle?: <T>(promise: Promise<T>) => Promise<T>;
  stop(): Promise<void>;
}

/** The frames that came, and promises for those that are to come. */
class Inbox {
  readonly frames: Uint8Array[] = [];
  readonly #waiting: { done: () => boolean; resolve: () => void }[] = [];

  readonly take = (frame: Uint8Array): void => {
    this.frames.push(frame);
    for (const waiting of this.#waiting) if (waiting.done()) waiting.resolve();
  };

  async first(count: number): Promise<Uint8Array[]> {
    await this.#until(() => this.frames.length >= count);
    return this.frames.slice(0, count);
  }

  has(value: number): boolean {
    return this.frames.some((frame) => frame[0] === value);
  }

  untilHas(value: number): Promise<void> {
    return this.#until(() => this.has(value));
  }

  async #until(done: () => boolean): Promise<void> {
    if (!done()) await new Promise<void>((resolve) => this.#waiting.push({ done, resolve }));
  }
}

/** Bytes that tell their number and place, so that swapped, cut or mixed frames differ. */
export function patternedFrame(number: number, bytes: number): Uint8Array {
  const random = seededRandom(seedFrom(number, `${bytes}`));
  const seed = Math.floor(random() * 0x1_0000_0000) | 1;
  const frame = new Uint8Array(bytes);
  for (let i = 0, state = seed; i < bytes; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    frame[i] = state >>> 24;
  }
  return frame;
}

/** Sizes around the borders where implementations cut: of messages, of length fields, of the limit itself. */
function frameSizes(frameBytesMax: number): number[] {
  const borders = [1, 2, 3, 4, 5, 255, 256, 4091, 4092, 4093, 4096, 4097, 16_383, 16_384, 65_535, 65_536, 300_001];
  return [...borders.filter((bytes) => bytes < frameBytesMax), frameBytesMax - 1, frameBytesMax];
}

const codeOf = (error: unknown): string => (error instanceof LinkError ? error.code : `no LinkError: ${String(error)}`);
const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'nothing was thrown',
    (error: unknown) => error,
  );

/**
 * @param name of the implementation
 * @param factory makes two peers that can reach each other; called once, each test uses a protocol of its own
 */
export function linkSuite(name: string, factory: () => Promise<LinkSuiteFixture>, timeoutMs = 30_000): void {
  describe(`links: ${name}`, { timeout: timeoutMs }, () => {
    let fixture: LinkSuiteFixture;
    let count = 0;
    const settle = <T>(promise: Promise<T>): Promise<T> => fixture.settle?.(promise) ?? promise;
    const unused = (): string => `/unfed/suite-${++count}/1`;

    beforeAll(async () => {
      fixture = await factory();
    }, timeoutMs);
    afterAll(() => fixture.stop(), timeoutMs);

    /** A link that a opened, and its end at b. */
    async function linked(protocol = unused()): Promise<{ near: Link; far: Link; protocol: string }> {
      const { a, b } = fixture;
      const accepted = new Promise<Link>((resolve) => b.links.accept(protocol, resolve));
      const near = await settle(a.links.open(b.links.self, protocol, { addresses: b.addresses }));
      // A link may be known to the other end only with its first frame, so this one is part of every test.
      await settle(near.send(Uint8Array.of(0)));
      return { near, far: await settle(accepted), protocol };
    }

    /** The same, with the frames of both ends collected and the first one seen. */
    async function collected(): Promise<{ near: Link; far: Link; nearInbox: Inbox; farInbox: Inbox }> {
      const { near, far } = await linked();
      const [nearInbox, farInbox] = [new Inbox(), new Inbox()];
      near.onFrame(nearInbox.take);
      far.onFrame(farInbox.take);
      await settle(farInbox.first(1));
      farInbox.frames.length = 0;
      return { near, far, nearInbox, farInbox };
    }

    it('names its two ends and its protocol, and is direct', async () => {
      const { near, far, protocol } = await linked();
      expect(near.peer).toBe(fixture.b.links.self);
      expect(far.peer).toBe(fixture.a.links.self);
      expect([near.protocol, far.protocol]).toEqual([protocol, protocol]);
      expect([near.relayed, far.relayed]).toEqual([false, false]);
    });

    it('delivers frames in order, both ways at once', async () => {
      const { near, far, nearInbox, farInbox } = await collected();
      const frames = Array.from({ length: 200 }, (_, i) => patternedFrame(i, 1 + ((i * 37) % 500)));
      const back = frames.map((frame) => frame.slice().reverse());
      const sendAll = async (link: Link, all: Uint8Array[]): Promise<void> => {
        for (const frame of all) await link.send(frame);
      };
      await settle(Promise.all([sendAll(near, frames), sendAll(far, back)]));
      expect(await settle(farInbox.first(200))).toEqual(frames);
      expect(await settle(nearInbox.first(200))).toEqual(back);
    });

    it('delivers frames whole, of any size up to the limit', async () => {
      const { near, farInbox } = await collected();
      const sizes = frameSizes(fixture.frameBytesMax);
      for (const [number, bytes] of sizes.entries()) await settle(near.send(patternedFrame(number, bytes)));
      const frames = await settle(farInbox.first(sizes.length));
      for (const [number, bytes] of sizes.entries()) {
        expect(frames[number]?.byteLength).toBe(bytes);
        expect(Buffer.compare(frames[number] ?? new Uint8Array(), patternedFrame(number, bytes))).toBe(0);
      }
    });

    it('gives frames that their taker may keep, whatever the sender does with its buffer', async () => {
      const { near, farInbox } = await collected();
      const buffer = new Uint8Array(64);
      for (let i = 0; i < 20; i++) {
        buffer.fill(i);
        await settle(near.send(buffer));
      }
      const frames = await settle(farInbox.first(20));
      frames.forEach((frame, i) => expect(new Set(frame)).toEqual(new Set([i])));
    });

    it('keeps frames that come before a handler is set', async () => {
      const { near, far } = await linked();
      for (let i = 1; i < 10; i++) await settle(near.send(Uint8Array.of(i)));
      const inbox = new Inbox();
      far.onFrame(inbox.take);
      expect((await settle(inbox.first(10))).map((frame) => frame[0])).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    });

    it('reads no further frame while a handler is busy', async () => {
      const { near, far } = await linked();
      let busy = 0;
      let busyMax = 0;
      const inbox = new Inbox();
      far.onFrame(async (frame) => {
        busyMax = Math.max(busyMax, ++busy);
        await new Promise((resolve) => setImmediate(resolve));
        busy--;
        inbox.take(frame);
      });
      for (let i = 0; i < 20; i++) await settle(near.send(Uint8Array.of(i)));
      await settle(inbox.first(21));
      expect(busyMax).toBe(1);
    });

    it('holds a sender back while the other end does not read, and lets it go on when it does', async () => {
      const { near, far } = await linked();
      let release: () => void = () => undefined;
      const released = new Promise<void>((resolve) => {
        release = resolve;
      });
      const inbox = new Inbox();
      far.onFrame(async (frame) => {
        await released;
        inbox.take(frame);
      });
      const frame = patternedFrame(7, 60_000);
      const total = 4096;
      let sent = 0;
      const sending = (async (): Promise<void> => {
        for (; sent < total && inbox.frames.length === 0; sent++) await near.send(frame);
      })();
      const stalled = (async (): Promise<void> => {
        for (let before = -1; before !== sent;) {
          before = sent;
          for (let i = 0; i < 2000; i++) await new Promise((resolve) => setImmediate(resolve));
        }
      })();
      await settle(Promise.race([stalled, sending]));
      expect(sent, 'frames accepted while nothing is read').toBeLessThan(total);
      release();
      await settle(sending);
      const came = await settle(inbox.first(sent + 1));
      expect(came.slice(1).every((each) => Buffer.compare(each, frame) === 0)).toBe(true);
    });

    it('refuses a sender that does not wait', async () => {
      const { near, far } = await linked();
      far.onFrame(() => new Promise(() => undefined));
      const frame = new Uint8Array(Math.min(fixture.frameBytesMax, 1 << 20));
      const sends = Array.from({ length: 200 }, () => near.send(frame).catch((error: unknown) => error));
      const first = await settle(Promise.race(sends.map(async (send) => (await send) ?? new Promise(() => undefined))));
      expect(codeOf(first)).toBe('link-queue-full');
      near.close();
    });

    it('refuses a frame over the limit with a typed error, and stays open', async () => {
      const { near, farInbox } = await collected();
      const tooLong = new Uint8Array(fixture.frameBytesMax + 1);
      expect(codeOf(await settle(failure(near.send(tooLong))))).toBe('link-frame-too-long');
      await settle(near.send(Uint8Array.of(5)));
      expect((await settle(farInbox.first(1)))[0]).toEqual(Uint8Array.of(5));
    });

    it('resolves closed on both ends when one closes, and sends no more', async () => {
      for (const closer of ['near', 'far'] as const) {
        const ends = await collected();
        ends[closer].close();
        expect(await settle(Promise.all([ends.near.closed, ends.far.closed]))).toEqual([undefined, undefined]);
        expect(codeOf(await settle(failure(ends.near.send(Uint8Array.of(1)))))).toBe('link-closed');
        expect(codeOf(await settle(failure(ends.far.send(Uint8Array.of(1)))))).toBe('link-closed');
      }
    });

    it('opens a new link after one was closed', async () => {
      const { near, far, protocol } = await linked();
      near.close();
      await settle(Promise.all([near.closed, far.closed]));
      const again = await linked(protocol);
      expect(again.near).not.toBe(near);
      const inbox = new Inbox();
      again.far.onFrame(inbox.take);
      await settle(inbox.first(1));
    });

    it('shares one link between all who open it, at once or later, from either side', async () => {
      const { a, b } = fixture;
      const protocol = unused();
      const accepted: Link[] = [];
      a.links.accept(protocol, (link) => accepted.push(link));
      const came = new Promise<Link>((resolve) => {
        b.links.accept(protocol, (link) => {
          accepted.push(link);
          resolve(link);
        });
      });
      const open = (): Promise<Link> => a.links.open(b.links.self, protocol, { addresses: b.addresses });
      const [first, second] = await settle(Promise.all([open(), open()]));
      expect(second).toBe(first);
      expect(await settle(open())).toBe(first);
      await settle(first.send(Uint8Array.of(0)));
      const far = await settle(came);
      expect(await settle(b.links.open(a.links.self, protocol, { addresses: a.addresses }))).toBe(far);
      expect(accepted).toEqual([far]);
    });

    it('keeps exactly one link when both dial at once, and loses no frame in silence', async () => {
      for (let round = 0; round < 5; round++) await bothDial();
    });

    async function bothDial(): Promise<void> {
      const { a, b } = fixture;
      const protocol = unused();
      const sides = [
        { ...a, other: b, inbox: new Inbox(), seen: new Set<Link>(), open: new Set<Link>() },
        { ...b, other: a, inbox: new Inbox(), seen: new Set<Link>(), open: new Set<Link>() },
      ];
      type Side = (typeof sides)[number];
      const use = (side: Side, link: Link): void => {
        if (side.seen.has(link)) return;
        side.seen.add(link);
        side.open.add(link);
        void link.closed.then(() => side.open.delete(link));
        link.onFrame(side.inbox.take);
      };
      const openOn = async (side: Side): Promise<Link> => {
        const link = await side.links.open(side.other.links.self, protocol, { addresses: side.other.addresses });
        use(side, link);
        return link;
      };
      /** Sends until a send on a link that stays is seen at the other side. */
      const deliver = async (side: Side, other: Side, value: number): Promise<void> => {
        while (!other.inbox.has(value)) {
          const link = await openOn(side);
          try {
            await link.send(Uint8Array.of(value));
          } catch (error) {
            expect(codeOf(error)).toBe('link-closed');
            continue;
          }
          await Promise.race([other.inbox.untilHas(value), link.closed]);
        }
      };
      for (const side of sides) side.links.accept(protocol, (link) => use(side, link));
      const [left, right] = sides as [Side, Side];
      await settle(Promise.all([deliver(left, right, 1), deliver(right, left, 2)]));
      await settle(Promise.all([deliver(left, right, 3), deliver(right, left, 4)]));
      for (const side of sides) {
        while (side.open.size > 1) await settle(Promise.race([...side.open].map((link) => link.closed)));
      }
      const [kept, keptThere] = await settle(Promise.all([openOn(left), openOn(right)]));
      expect([left.open.size, right.open.size]).toEqual([1, 1]);
      kept.close();
      await settle(Promise.all([kept.closed, keptThere.closed]));
      expect([left.open.size, right.open.size]).toEqual([0, 0]);
    }

    it('says unreachable for a peer that nobody can reach', async () => {
      const { a, stranger } = fixture;
      expect(codeOf(await settle(failure(a.links.open(stranger, unused()))))).toBe('link-unreachable');
    });

    it('says unreachable where the other end takes no such links', async () => {
      const { a, b } = fixture;
      const opening = a.links.open(b.links.self, unused(), { addresses: b.addresses });
      expect(codeOf(await settle(failure(opening)))).toBe('link-unreachable');
    });

    it('takes no more links once accepting is stopped', async () => {
      const { a, b } = fixture;
      const protocol = unused();
      b.links.accept(protocol, () => undefined)();
      const opening = a.links.open(b.links.self, protocol, { addresses: b.addresses });
      expect(codeOf(await settle(failure(opening)))).toBe('link-unreachable');
    });

    it("rejects with the signal's reason, before and during opening", async () => {
      const { a, b, stranger } = fixture;
      const reason = new Error('changed my mind');
      const aborted = { signal: AbortSignal.abort(reason), addresses: b.addresses };
      expect(await settle(failure(a.links.open(b.links.self, unused(), aborted)))).toBe(reason);
      const controller = new AbortController();
      const opening = failure(a.links.open(stranger, unused(), { signal: controller.signal }));
      controller.abort(reason);
      expect(await settle(opening)).toBe(reason);
    });
  });
}
