import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createNetwork } from '@unfed/network/node';
import * as protocol from '@unfed/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tinyModel, tinyShard } from './model.fixture.ts';
import { startRelay, type RelayService } from './relay.ts';

/** A folder of models with one good one, one that lies about its hash, and a file that is no model's. */
async function writeModels(folder: string): Promise<string> {
  const { manifest, bytes, hash } = tinyModel('tiny');
  await mkdir(join(folder, hash));
  await writeFile(join(folder, hash, 'manifest.cbor'), bytes);
  for (const each of manifest.shards) await writeFile(join(folder, hash, protocol.shardFileName(each.id)), tinyShard);
  await writeFile(join(folder, hash, 'secret.txt'), 'secret');
  await mkdir(join(folder, 'f'.repeat(64)));
  await writeFile(join(folder, 'f'.repeat(64), 'manifest.cbor'), bytes);
  return hash;
}

describe('relay', () => {
  let folder = '';
  let hash = '';
  let relay: RelayService;
  const events: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'unfed-relay-'));
    const [modelsDir, webRoot] = [join(folder, 'models'), join(folder, 'web')];
    await mkdir(modelsDir);
    await mkdir(join(webRoot, 'assets'), { recursive: true });
    await writeFile(join(webRoot, 'index.html'), '<!doctype html><title>page</title>');
    await writeFile(join(webRoot, 'manifest.webmanifest'), '{}');
    await writeFile(join(webRoot, 'assets', 'runtime-abc.wasm'), Uint8Array.of(0, 97, 115, 109));
    await writeFile(join(webRoot, 'assets', 'main-abc.js'), 'export {};');
    await writeFile(join(folder, 'outside.txt'), 'secret');
    hash = await writeModels(modelsDir);
    const onEvent = (line: string): number => events.push(line);
    relay = await startRelay({ host: '127.0.0.1', port: 0, stunPort: 0, webRoot, modelsDir, onEvent });
  });
  afterAll(async () => {
    await relay.stop();
    await rm(folder, { recursive: true });
  });

  const get = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(relay.url + path, { headers });
  /** A request with its path as it is: fetch would tidy it up. */
  const getRaw = (path: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const { port } = new URL(relay.url);
      request({ host: '127.0.0.1', port, path }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      })
        .on('error', reject)
        .end();
    });

  it('says where it is, what it serves, and whose STUN to use: its own', async () => {
    const response = await get('/relay.json');
    expect(response.headers.get('cache-control')).toBe('no-store');
    const { port } = new URL(relay.url);
    expect(await response.json()).toEqual({
      peer: relay.peer,
      addresses: [`/ip4/127.0.0.1/tcp/${port}/ws`],
      iceServers: [{ urls: `stun:127.0.0.1:${relay.stunPort}` }],
      models: [{ manifest: hash, name: 'tiny' }],
    });
    expect(events).toHaveLength(1);
    expect(events[0]).toContain('f'.repeat(64));
  });

  it('takes peers over the same port', async () => {
    const { addresses } = (await (await get('/relay.json')).json()) as { addresses: string[] };
    const network = await createNetwork({
      identity: protocol.identityFromSeed(new Uint8Array(32).fill(5)),
      relays: [{ peer: relay.peer, addresses }],
      iceServers: [],
      listen: false,
    });
    try {
      if (network.relayState.kind !== 'connected') {
        await new Promise<void>((resolve) => {
          network.onChange(() => {
            if (network.relayState.kind === 'connected') resolve();
          });
        });
      }
      expect(network.connections).toMatchObject([{ peer: relay.peer, transport: 'websocket', isRelay: true }]);
      expect(await (await get('/metrics')).text()).toContain('unfed_relay_connections 1');
    } finally {
      await network.stop();
    }
  });

  it('serves the page with its types, isolated, and may only talk to the relay', async () => {
    const response = await get('/');
    expect(await response.text()).toContain('<title>page');
    const header = (name: string): string => response.headers.get(name) ?? '';
    expect(header('content-type')).toMatch(/^text\/html/);
    expect(header('cache-control')).toBe('no-cache');
    expect(header('cross-origin-opener-policy')).toBe('same-origin');
    expect(header('cross-origin-embedder-policy')).toBe('require-corp');
    expect(header('x-content-type-options')).toBe('nosniff');
    expect(header('content-security-policy')).toContain(`connect-src 'self' ${relay.url.replace('http', 'ws')};`);
    expect(header('content-security-policy')).toContain("script-src 'self' 'wasm-unsafe-eval';");
  });

  it('lets assets be kept for ever, as their names change with them', async () => {
    const wasm = await get('/assets/runtime-abc.wasm');
    expect(wasm.headers.get('content-type')).toBe('application/wasm');
    expect(wasm.headers.get('cache-control')).toContain('immutable');
    expect((await get('/assets/main-abc.js')).headers.get('content-type')).toMatch(/^text\/javascript/);
    expect((await get('/manifest.webmanifest')).headers.get('content-type')).toMatch(/^application\/manifest\+json/);
  });

  it('answers places of the page with the page, and missing files with 404', async () => {
    expect(await (await get('/network', { accept: 'text/html' })).text()).toContain('<title>page');
    expect((await get('/assets/missing-abc.js')).status).toBe(404);
  });

  it('serves the files of a model, whole and by range', async () => {
    const whole = await get(`/models/${hash}/layer-0.bin`);
    expect(new Uint8Array(await whole.arrayBuffer())).toEqual(tinyShard);
    expect(whole.headers.get('cache-control')).toContain('immutable');
    expect(whole.headers.get('access-control-allow-origin')).toBe('*');
    const part = await get(`/models/${hash}/layer-0.bin`, { range: 'bytes=4000-' });
    expect([part.status, part.headers.get('content-range')]).toEqual([206, 'bytes 4000-4999/5000']);
    expect(new Uint8Array(await part.arrayBuffer())).toEqual(tinyShard.subarray(4000));
    const middle = await get(`/models/${hash}/layer-0.bin`, { range: 'bytes=10-19' });
    expect(new Uint8Array(await middle.arrayBuffer())).toEqual(tinyShard.subarray(10, 20));
  });

  it('refuses ranges that are none', async () => {
    for (const range of [
      'bytes=5000-',
      'bytes=20-10',
      'bytes=-5',
      'bytes=0-1,3-4',
      'bytes=99999999999999999999-',
      'bytes=abc',
      'chapters=1-2',
      `bytes=${'0-1,'.repeat(1000)}2-3`,
    ]) {
      const response = await get(`/models/${hash}/layer-0.bin`, { range });
      expect([response.status, response.headers.get('content-range')], range).toEqual([416, 'bytes */5000']);
    }
  });

  it('serves nothing but the files that a manifest names', async () => {
    for (const path of [
      `/models/${hash}/secret.txt`,
      `/models/${hash}/`,
      `/models/${hash}`,
      `/models/${'f'.repeat(64)}/manifest.cbor`,
      `/models/${'0'.repeat(64)}/manifest.cbor`,
      '/models/',
      `/models/${hash}/../../outside.txt`,
      `/models/${hash}/..%2f..%2foutside.txt`,
      '/../outside.txt',
      '/..%2foutside.txt',
      '/%2e%2e/outside.txt',
      '/assets/../../outside.txt',
      '/.hidden',
    ]) {
      const status = await getRaw(path);
      expect([400, 403, 404], `${path}: ${status}`).toContain(status);
    }
  });

  it('takes only GET and HEAD', async () => {
    const post = await fetch(`${relay.url}/relay.json`, { method: 'POST', body: 'x' });
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    const head = await fetch(`${relay.url}/models/${hash}/layer-0.bin`, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '5000']);
  });

  it('says that it is well and ready, and counts', async () => {
    expect((await get('/healthz')).status).toBe(200);
    expect((await get('/readyz')).status).toBe(200);
    const text = await (await get('/metrics')).text();
    expect(text).toMatch(/unfed_relay_http_requests_total\{route="models",status="206"\} \d+/);
    expect(text).toMatch(/^(#.*|unfed_relay_\w+(\{[^}]*\})? \d+)$/m);
    expect(text).not.toContain('127.0.0.1');
  });

  it('outlives noise on its port', async () => {
    for (const noise of ['\0\0\0\0', 'GET', `GET / HTTP/1.1\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`]) {
      await new Promise<void>((resolve) => {
        const socket = connect(Number(new URL(relay.url).port), '127.0.0.1', () => socket.end(noise));
        socket.on('error', () => undefined).on('close', () => resolve());
        socket.resume();
      });
    }
    expect((await get('/healthz')).status).toBe(200);
  });

  it('refuses a port that is taken, and leaves nothing running', async () => {
    const port = Number(new URL(relay.url).port);
    const starting = startRelay({ host: '127.0.0.1', port, stunPort: 0, modelsDir: folder });
    await expect(starting).rejects.toMatchObject({ code: 'listen' });
  });
});

describe('relay process', () => {
  it('says when it is ready and ends on SIGTERM', async () => {
    const main = fileURLToPath(new URL('main.ts', import.meta.url));
    const args = ['--import', 'tsx', main, '--port', '0', '--stun-port', '0', '--models', tmpdir()];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
    const line = await new Promise<string>((resolve) =>
      child.stdout.once('data', (bytes: Buffer) => resolve(bytes.toString())),
    );
    expect(line).toMatch(/^ready: http:\/\/127\.0\.0\.1:\d+\s/);
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  });
});
