/** The relay's one HTTP port: page, relay.json, models, health, metrics, and the WebSocket handed to libp2p. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { manifestSignatureFileName } from '@unfed/protocol';
import { answerText, serveModelFile, servePage } from './files.ts';
import * as limits from './limits.ts';
import { type Metrics, type Route } from './metrics.ts';
import type { Models } from './models.ts';
import { RateLimiter } from './rate-limiter.ts';
import { allowOtherOrigins, setSecurityHeaders } from './security-headers.ts';
import { forwardedFor, sourceOf } from './sources.ts';

export interface HttpServerInit {
  readonly pageFolder: string | undefined;
  readonly models: Models;
  /** A proxy stands in front: its X-Forwarded-For, and no other, says where a request comes from. */
  readonly behindProxy: boolean;
  /** Why the relay is not ready; undefined when it is. */
  readonly notReady: () => string | undefined;
  /** What `/relay.json` says to a request with this Host header. */
  readonly info: (hostHeader: string | undefined) => Promise<object>;
  readonly socketOrigins: (hostHeader: string | undefined) => readonly string[];
  readonly metricsText: () => string;
  readonly metrics: Metrics;
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

export interface RelayHttpServer {
  readonly server: Server;
  readonly sockets: number;
  /** Takes nothing new, lets open answers end for a moment, then ends all. */
  stop(): Promise<void>;
}

export function createHttpServer(init: HttpServerInit): RelayHttpServer {
  const sockets = new Sockets(init);
  const rate = (burstMax: number, perSecond: number): RateLimiter =>
    new RateLimiter({ burstMax, perSecond, sourcesMax: limits.sourcesMax });
  const requests = rate(limits.requestBurstMax, limits.requestsPerSecond);
  const upgrades = rate(limits.upgradeBurstMax, limits.upgradesPerSecond);
  const server = createServer({
    maxHeaderSize: limits.headerBytesMax,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
  });
  server.maxConnections = limits.socketsMax;
  server.timeout = limits.idleTimeoutMs;
  server.on('connection', (socket) => sockets.take(socket));
  server.on('clientError', (_, socket) => socket.destroy());
  server.on('request', (request, response) => {
    if (requests.allows(requestSource(request, init.behindProxy))) {
      void answer(request, response, init);
      return;
    }
    init.metrics.refused('requests');
    response.setHeader('Retry-After', '2');
    answerText(response, 429, 'too many requests; try again in a moment\n');
  });
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    const allowed = upgrades.allows(requestSource(request, init.behindProxy));
    if (!allowed) init.metrics.refused('upgrades');
    if (!allowed || init.notReady() !== undefined || pathOf(request) !== '/') {
      socket.end(
        `HTTP/1.1 ${allowed ? '503 Service Unavailable' : '429 Too Many Requests'}\r\nConnection: close\r\n\r\n`,
      );
      return;
    }
    init.metrics.upgraded();
    init.upgrade(request, socket, head);
  });
  return {
    server,
    get sockets() {
      return sockets.count;
    },
    stop: () => sockets.stop(server),
  };
}

/** Counts open sockets, in all and by source. */
class Sockets {
  readonly #init: HttpServerInit;
  readonly #open = new Set<Duplex>();
  readonly #bySource = new Map<string, number>();

  constructor(init: HttpServerInit) {
    this.#init = init;
  }

  get count(): number {
    return this.#open.size;
  }

  take(socket: Duplex & { readonly remoteAddress?: string | undefined }): void {
    const source = sourceOf(socket.remoteAddress);
    const count = this.#bySource.get(source) ?? 0;
    if (count >= limits.socketsPerSourceMax && !this.#init.behindProxy) {
      this.#init.metrics.refused('sockets');
      socket.destroy();
      return;
    }
    this.#open.add(socket);
    this.#bySource.set(source, count + 1);
    socket.once('close', () => {
      this.#open.delete(socket);
      const left = (this.#bySource.get(source) ?? 1) - 1;
      if (left === 0) this.#bySource.delete(source);
      else this.#bySource.set(source, left);
    });
  }

  async stop(server: Server): Promise<void> {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    const timer = setTimeout(() => this.#destroyAll(), limits.stopTimeoutMs);
    await closed;
    clearTimeout(timer);
    this.#destroyAll();
  }

  #destroyAll(): void {
    for (const socket of this.#open) socket.destroy();
  }
}

function requestSource(request: IncomingMessage, behindProxy: boolean): string {
  const forwarded = behindProxy ? forwardedFor(request) : undefined;
  return sourceOf(forwarded ?? request.socket.remoteAddress);
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').replace(/[?#].*$/s, '');
}

const modelFile = /^\/models\/([0-9a-f]{64})\/([a-z0-9_.-]{1,64})$/;

function routeOf(path: string): Route {
  if (path === '/relay.json') return 'relay.json';
  if (path === '/healthz' || path === '/readyz') return 'health';
  if (path === '/metrics') return 'metrics';
  return path === '/models' || path.startsWith('/models/') ? 'models' : 'page';
}

async function answer(request: IncomingMessage, response: ServerResponse, init: HttpServerInit): Promise<void> {
  const path = pathOf(request);
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  const route = isRead ? routeOf(path) : 'none';
  response.once('close', () => init.metrics.answered(route, response.statusCode));
  try {
    setSecurityHeaders(response, init.socketOrigins(request.headers.host));
    if (isRead) await answerRoute(route, { request, response, path, init });
    else answerMethod(request, response);
  } catch {
    // The reason may hold a path of this machine: it is for no one outside.
    if (response.headersSent) response.destroy();
    else answerText(response, 500, 'the relay failed at this request\n');
  }
}

function answerMethod(request: IncomingMessage, response: ServerResponse): void {
  response.setHeader('Allow', 'GET, HEAD');
  response.setHeader('Connection', 'close');
  answerText(response, 405, `expected GET or HEAD, came ${request.method?.slice(0, 20) ?? 'nothing'}\n`);
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  readonly init: HttpServerInit;
}

async function answerRoute(route: Route, exchange: Exchange): Promise<void> {
  const { request, response, path, init } = exchange;
  switch (route) {
    case 'relay.json':
      return answerInfo(exchange);
    case 'health':
      return answerHealth(response, path === '/readyz' ? init.notReady() : undefined);
    case 'metrics':
      response.setHeader('Content-Type', 'text/plain; version=0.0.4; charset=utf-8');
      response.end(init.metricsText());
      return;
    case 'models':
      return answerModel(exchange);
    default:
      if (init.pageFolder === undefined) answerText(response, 404, 'this relay serves no page\n');
      else servePage(request, response, { folder: init.pageFolder, path });
  }
}

function answerHealth(response: ServerResponse, notReady: string | undefined): void {
  response.setHeader('Cache-Control', 'no-store');
  if (notReady === undefined) answerText(response, 200, 'ok\n');
  else answerText(response, 503, `${notReady}\n`);
}

async function answerInfo({ request, response, init }: Exchange): Promise<void> {
  allowOtherOrigins(response);
  response.setHeader('Cache-Control', 'no-store');
  const notReady = init.notReady();
  if (notReady !== undefined) {
    answerText(response, 503, `${notReady}\n`);
    return;
  }
  const body = JSON.stringify(await init.info(request.headers.host));
  response.setHeader('Content-Type', 'application/json');
  response.end(body);
}

async function answerModel({ request, response, path, init }: Exchange): Promise<void> {
  allowOtherOrigins(response);
  const [, hash = '', file = ''] = modelFile.exec(path) ?? [];
  const bytes = hash === '' ? undefined : await init.models.fileBytes(hash, file);
  if (bytes === undefined) {
    answerText(response, 404, 'this relay has no such file of a model\n');
    return;
  }
  const { socket } = request;
  const before = socket.bytesWritten;
  response.once('close', () => init.metrics.sentModelBytes(socket.bytesWritten - before));
  // A signature is no part of what the hash names: it may be replaced.
  const immutable = file !== manifestSignatureFileName;
  serveModelFile(request, response, { folder: init.models.folder, path: `/${hash}/${file}`, bytes, immutable });
}
