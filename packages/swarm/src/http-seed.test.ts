import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { embeddingShard, headShard, layerShard, shardFileName } from '@unfed/protocol';
import { afterEach, describe, expect, it } from 'vitest';
import { httpSeed, type HttpSeedOptions } from './http-seed.ts';
import { modelFixture } from './model.fixture.ts';
import { shardSourceSuite } from './shard-source.suite.ts';

const model = modelFixture();
const quick = { backoffMs: 1, backoffMsMax: 2 };

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

async function serve(answer: Answer): Promise<{ baseUrl: string; stop: () => Promise<void> }> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = (): Promise<void> => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  };
  return { baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/models`, stop };
}

/** A good seed over `contents`, ranges included. */
function good(contents: ReadonlyMap<string, Uint8Array>): Answer {
  return (request, response) => {
    const bytes = contents.get((request.url ?? '').replace('/models/', ''));
    if (bytes === undefined) {
      response.writeHead(404).end();
      return;
    }
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const range = { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` };
    response.writeHead(start > 0 ? 206 : 200, { 'content-length': bytes.length - start, ...(start > 0 && range) });
    response.end(bytes.subarray(start));
  };
}

const byPath = (): Map<string, Uint8Array> =>
  new Map([...model.files].map(([file, bytes]) => [`${model.hash}/${file}`, bytes]));

shardSourceSuite('http', async () => {
  const contents = byPath();
  const { baseUrl, stop } = await serve(good(contents));
  return {
    source: httpSeed({ baseUrl, ...quick }),
    put: async (path, bytes) => void (bytes === null ? contents.delete(path) : contents.set(path, bytes)),
    stop,
  };
});

describe('http seed', () => {
  let stop: () => Promise<void> = async () => undefined;
  afterEach(() => stop());

  async function seedOf(answer: Answer, options: Partial<HttpSeedOptions> = {}) {
    const served = await serve(answer);
    stop = served.stop;
    return httpSeed({ baseUrl: served.baseUrl, ...quick, ...options });
  }
  const codeFrom = async (answer: Answer, options?: Partial<HttpSeedOptions>): Promise<string> => {
    const seed = await seedOf(answer, options);
    const outcome = await seed.shard(model.manifest, embeddingShard).then(
      () => 'nothing was thrown',
      (error: { code: string }) => error.code,
    );
    await stop();
    return outcome;
  };
  const embedding = model.files.get(shardFileName(embeddingShard)) ?? new Uint8Array();

  /** Gives one chunk and a bit, breaks once that was taken, and lets `then` answer what comes next. */
  function breaksAfterOneChunk(then: (range: string | null) => Response): { fetch: typeof fetch; ranges: string[] } {
    const ranges: string[] = [];
    const broken = (): Response => {
      let pulls = 0;
      const pull = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
        if (pulls++ === 0) controller.enqueue(embedding.slice(0, (1 << 20) + 5));
        else controller.error(new TypeError('the connection broke'));
      };
      return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }));
    };
    const fetchBroken: typeof fetch = async (_, init) => {
      const range = new Headers(init?.headers).get('range');
      ranges.push(range ?? 'whole');
      return ranges.length === 1 ? broken() : then(range);
    };
    return { fetch: fetchBroken, ranges };
  }
  const total = embedding.length;
  const rest = (status: number, range: string): Response =>
    new Response(embedding.slice(1 << 20), { status, headers: range === '' ? {} : { 'content-range': range } });

  it('goes on where a broken connection ended, without fetching again what was verified', async () => {
    const good206 = (): Response => rest(206, `bytes ${1 << 20}-${total - 1}/${total}`);
    const { fetch, ranges } = breaksAfterOneChunk(good206);
    const seed = httpSeed({ baseUrl: 'http://seed', fetch, ...quick });
    const steps: number[] = [];
    const bytes = await seed.shard(model.manifest, embeddingShard, { onProgress: (more) => steps.push(more) });
    expect(Buffer.compare(bytes, embedding)).toBe(0);
    expect(ranges).toEqual(['whole', `bytes=${1 << 20}-`]);
    expect(steps.reduce((sum, more) => sum + more, 0)).toBe(total);
  });

  it('fetches a wrong chunk again, from its start, and past caches', async () => {
    let requests = 0;
    const seen: (string | undefined)[] = [];
    const seed = await seedOf((request, response) => {
      const contents = byPath();
      seen.push(request.headers.range);
      if (requests++ === 0) {
        const wrong = embedding.slice();
        wrong[(1 << 20) + 3] = (wrong[(1 << 20) + 3] ?? 0) ^ 4;
        contents.set(`${model.hash}/${shardFileName(embeddingShard)}`, wrong);
      }
      good(contents)(request, response);
    });
    expect(Buffer.compare(await seed.shard(model.manifest, embeddingShard), embedding)).toBe(0);
    expect(seen).toEqual([undefined, `bytes=${1 << 20}-`]);
  });

  it('tries again what may pass, and gives up after so many tries without progress', async () => {
    let requests = 0;
    const busy: Answer = (_, response) => {
      requests++;
      response.writeHead(503).end();
    };
    expect(await codeFrom(busy, { triesMax: 3 })).toBe('source-status');
    expect(requests).toBe(3);
    const after = await seedOf((request, response) =>
      requests++ < 5 ? response.writeHead(503).end() : good(byPath())(request, response),
    );
    expect(await after.shard(model.manifest, headShard)).toHaveLength(7);
  });

  it('refuses HTML instead of bytes, at once', async () => {
    let requests = 0;
    const page: Answer = (_, response) => {
      requests++;
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<!doctype html><title>Log in');
    };
    expect(await codeFrom(page)).toBe('source-html');
    expect(requests).toBe(1);
  });

  it('refuses a range that was not asked for', async () => {
    for (const [status, range] of [
      [200, ''],
      [206, ''],
      [206, `bytes 0-${total - 1}/${total}`],
      [206, `bytes ${1 << 20}-${total - 2}/${total}`],
      [206, `bytes ${1 << 20}-${total - 1}/${total + 1}`],
      [206, 'bytes nonsense'],
    ] as const) {
      const { fetch, ranges } = breaksAfterOneChunk(() => rest(status, range));
      const seed = httpSeed({ baseUrl: 'http://seed', fetch, ...quick });
      await expect(seed.shard(model.manifest, embeddingShard), `${status} ${range}`).rejects.toMatchObject({
        code: 'source-wrong-range',
      });
      expect(ranges).toHaveLength(2);
    }
  });

  it('refuses another length, before the body is read', async () => {
    const lengths: Answer = (_, response) => void response.writeHead(200, { 'content-length': 10 }).write('short');
    expect(await codeFrom(lengths)).toBe('source-too-short');
    const longer: Answer = (_, response) => void response.writeHead(200, { 'content-length': 1e12 }).write('long');
    expect(await codeFrom(longer)).toBe('source-too-long');
  });

  it('stops reading a body without a length that is too long', async () => {
    const endless: Answer = (_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(embedding));
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    };
    const seed = await seedOf(endless);
    await expect(seed.shard(model.manifest, headShard)).rejects.toMatchObject({ code: 'source-too-long' });
    await expect(seed.file(model.manifest, 'config')).rejects.toMatchObject({ code: 'source-too-long' });
    await expect(seed.manifest(model.hash)).rejects.toMatchObject({ code: 'source-too-long' });
  });

  it('gives up a seed that goes silent, before the headers and within the body', async () => {
    const options = { stallMsMax: 30, triesMax: 2 };
    expect(await codeFrom(() => undefined, options)).toBe('source-stalled');
    const inBody: Answer = (_, response) => void response.writeHead(200).write('some');
    expect(await codeFrom(inBody, options)).toBe('source-stalled');
  });

  it('says unreachable when nobody listens', async () => {
    const seed = await seedOf(() => undefined);
    await stop();
    await expect(seed.manifest(model.hash)).rejects.toMatchObject({ code: 'source-unreachable' });
  });

  it('follows no redirect', async () => {
    const elsewhere: Answer = (_, response) => void response.writeHead(302, { location: '/models/other' }).end();
    expect(await codeFrom(elsewhere)).toBe('source-unreachable');
  });

  it('asks for so many files at a time', async () => {
    let open = 0;
    let openMax = 0;
    const seed = await seedOf(
      (request, response) => {
        openMax = Math.max(openMax, ++open);
        response.on('close', () => open--);
        setImmediate(() => good(byPath())(request, response));
      },
      { requestsMax: 2 },
    );
    const ids = [headShard, layerShard(0), layerShard(1), embeddingShard, headShard, headShard];
    await Promise.all(ids.map((id) => seed.shard(model.manifest, id)));
    expect(openMax).toBeLessThanOrEqual(3);
  });
});
