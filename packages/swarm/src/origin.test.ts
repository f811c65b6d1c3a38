import { embeddingShard, shardFileName } from '@unfed/protocol';
import { VirtualClock } from '@unfed/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { httpFiles } from './http-seed.ts';
import * as limits from './limits.ts';
import { Origin } from './origin.ts';
import { fileOf, isShard, model, storeWith, world, type World } from './swarm.fixture.ts';
import type { Swarm } from './swarm-contract.ts';
import type { RawFiles } from './verified-source.ts';

const partBytes = 64 << 10;
const chunkBytes = 1 << 20;
const total = fileOf(shardFileName(embeddingShard)).length;

let here: World = world();
afterEach(() => here.stop());

/** An answer that goes on for ever. */
function endless(init: ResponseInit, onPart: () => void = () => undefined): Response {
  const pull = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    controller.enqueue(new Uint8Array(partBytes));
    onPart();
  };
  return new Response(new ReadableStream<Uint8Array>({ pull }, { highWaterMark: 0 }), init);
}

const rangeOf = (init: RequestInit | undefined): readonly [number, number] => {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(new Headers(init?.headers).get('range') ?? '') ?? [];
  return [Number(first), Number(last)];
};
const partial = (init: RequestInit | undefined, shift = 0): ResponseInit => {
  const [first, last] = rangeOf(init);
  return { status: 206, headers: { 'content-range': `bytes ${first + shift}-${last + shift}/${total}` } };
};

type Answer = (init: RequestInit | undefined) => Response | Promise<Response>;
/** What an origin may answer to a request for a chunk, and what is then said of it. */
const answers: Record<string, readonly [code: string, answer: Answer]> = {
  HTML: [
    'source-html',
    () => new Response('<!doctype html>', { status: 206, headers: { 'content-type': 'text/html' } }),
  ],
  'the wrong range': ['source-wrong-range', (init) => new Response(new Uint8Array(chunkBytes), partial(init, 1))],
  'the whole file': ['source-wrong-range', () => new Response(fileOf(shardFileName(embeddingShard)))],
  404: ['source-not-found', () => new Response('', { status: 404 })],
  503: ['source-status', () => new Response('', { status: 503 })],
  'less than asked': ['source-too-short', (init) => new Response(new Uint8Array(10), partial(init))],
  'more than asked': ['source-too-long', (init) => endless(partial(init))],
  'other bytes': [
    'hash-mismatch',
    (init) => new Response(new Uint8Array(rangeOf(init)[1] - rangeOf(init)[0] + 1), partial(init)),
  ],
  nothing: ['source-stalled', (init) => new Promise((_, reject) => init?.signal?.addEventListener('abort', reject))],
};

function originFiles(answer: Answer): RawFiles {
  return httpFiles({ baseUrl: 'http://origin', stallMsMax: 20, fetch: async (_, init) => answer(init) });
}

function completed(swarm: Swarm): Promise<void> {
  const isComplete = (): boolean => swarm.progress.some((it) => it.totalBytes > 0 && it.doneBytes === it.totalBytes);
  return new Promise((resolve) => {
    const stop = swarm.onChange(() => {
      if (!isComplete()) return;
      stop();
      resolve();
    });
  });
}

describe('an origin', () => {
  for (const [name, [code, answer]] of Object.entries(answers)) {
    it(`that answers ${name} is given up with ${code}`, async () => {
      const clock = new VirtualClock(1_700_000_000_000);
      here = world({ clock });
      const { swarm } = here.peer(1, { seed: originFiles(answer), clock });
      const failed = swarm.shard(model.manifest, embeddingShard).then(
        () => 'nothing was thrown',
        (error: { code: string }) => error.code,
      );
      expect(await clock.until(failed)).toBe(code);
    });

    it(`that answers ${name} does not stop a download that a peer can complete`, async () => {
      here = world();
      const { swarm } = here.peer(1, { seed: originFiles(answer) });
      await swarm.want(model.manifest, [embeddingShard]);
      const done = completed(swarm);
      here.peer(2, { store: await storeWith() });
      await done;
      expect(isShard(embeddingShard, await swarm.shard(model.manifest, embeddingShard))).toBe(true);
      expect(swarm.bans).toEqual([]);
    });
  }

  it('is tried again after requests that failed together, as often as after one', async () => {
    const clock = new VirtualClock();
    const seed = originFiles(() => new Response('', { status: 503 }));
    const origin = new Origin({ seed, hash: model.hash, clock }, () => undefined);
    const [entry] = model.manifest.shards;
    for (let tries = 1; tries <= limits.triesMax; tries++) {
      expect(origin.givenUp).toBeUndefined();
      await Promise.all([0, 1].map((chunk) => origin.fetch({ index: chunk, entry, chunk })));
      expect(origin.mayBeAsked).toBe(false);
      await clock.advance(limits.backoffMsMax);
    }
    expect(origin.givenUp).toMatchObject({ code: 'source-status' });
    origin.forgive();
    expect(origin.mayBeAsked).toBe(true);
  });

  it('that answers more than was asked for is cut off at the limit', async () => {
    let takenBytes = 0;
    let request: AbortSignal | null | undefined;
    const seed = originFiles((init) => {
      request = init?.signal;
      return endless(partial(init), () => (takenBytes += partBytes));
    });
    const origin = new Origin({ seed, hash: model.hash, clock: new VirtualClock() }, () => undefined);
    const [entry] = model.manifest.shards;
    expect(await origin.fetch({ index: 1, entry, chunk: 1 })).toBeUndefined();
    expect(origin.givenUp).toMatchObject({ code: 'source-too-long' });
    expect(takenBytes).toBe(chunkBytes + partBytes);
    expect(request?.aborted).toBe(true);
  });
});
