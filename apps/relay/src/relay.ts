/** Puts a relay together: one HTTP port for page, models and WebSocket, libp2p behind it, and STUN beside it. */
import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import { createRelay, identityFrom, type RelayNode } from '@unfed/network/node';
import { errorText, randomIdentity, type PeerId } from '@unfed/protocol';
import { ListenError } from './errors.ts';
import { createHttpServer, type RelayHttpServer } from './http-server.ts';
import { openListedFile, type ListedFile } from './listed-file.ts';
import { Metrics } from './metrics.ts';
import { Models } from './models.ts';
import {
  httpOrigin,
  publicAddress,
  stunUrl,
  webSocketMultiaddr,
  webSocketOrigin,
  type Listening,
} from './public-address.ts';
import { forwardedFor } from './sources.ts';
import { startStun, type StunServer } from './stun-server.ts';

/** A TURN server that pages may use when they cannot meet directly. */
export interface TurnServer {
  readonly urls: string;
  readonly username?: string;
  readonly credential?: string;
}

export interface RelayServiceOptions {
  /** The address to listen on, TCP and UDP: `127.0.0.1`, `0.0.0.0` or `::` for all, or another of this machine's. */
  readonly host: string;
  /** TCP; 0 for any that is free. */
  readonly port: number;
  /** UDP; 0 for any that is free. */
  readonly stunPort: number;
  /** The built page; without it only peers are served. */
  readonly webRoot?: string | undefined;
  /** Holds one finished folder a model, named by its manifest's hash. It may be empty, or come later. */
  readonly modelsDir: string;
  /** Of the models here: only those that it signed are served, and `/relay.json` names it. */
  readonly publisher?: PeerId | undefined;
  /** Where the identity is kept, and beside it for how long peers were listed; all new at every start when absent. */
  readonly identityFile?: string | undefined;
  readonly turn?: TurnServer | undefined;
  /** `https://HOST`, where a proxy in front ends TLS. */
  readonly publicUrl?: string | undefined;
  readonly behindProxy?: boolean;
  /** One line for the log; never with an address in it. */
  readonly onEvent?: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface RelayService {
  /** Where the page is. */
  readonly url: string;
  readonly peer: PeerId;
  readonly stunPort: number;
  stop(): Promise<void>;
}

/** @throws ListenError, InvalidValueError, and the signal's reason; nothing is left running then */
export async function startRelay(options: RelayServiceOptions): Promise<RelayService> {
  options.signal?.throwIfAborted();
  const service = new Service(options);
  try {
    await service.start();
    options.signal?.throwIfAborted();
  } catch (error) {
    await service.stop();
    throw error;
  }
  options.signal?.addEventListener('abort', () => void service.stop(), { once: true });
  return service;
}

class Service implements RelayService {
  readonly #options: RelayServiceOptions;
  readonly #metrics = new Metrics();
  readonly #models: Models;
  readonly #http: RelayHttpServer;
  #listening: Listening;
  #stun: StunServer | undefined;
  #node: RelayNode | undefined;
  #listed: ListedFile | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: RelayServiceOptions) {
    this.#options = options;
    const { host, port, publicUrl, modelsDir, publisher, webRoot, behindProxy = false, onEvent } = options;
    this.#listening = { host, port, publicUrl };
    const onRefused = (folder: string, error: unknown): void => onEvent?.(`no model in ${folder}: ${errorText(error)}`);
    this.#models = new Models(modelsDir, { publisher, onRefused });
    this.#http = createHttpServer({
      pageFolder: webRoot,
      models: this.#models,
      behindProxy,
      notReady: () => this.#notReady(),
      info: (hostHeader) => this.#info(hostHeader),
      socketOrigins: (hostHeader) => [webSocketOrigin(publicAddress(this.#listening, hostHeader))],
      metrics: this.#metrics,
      metricsText: () => this.#metricsText(),
      upgrade: (request, socket, head) => this.#node?.upgrade(request, socket, head),
    });
  }

  get url(): string {
    const { host } = this.#options;
    const local = host === '0.0.0.0' || host === '::' ? { ...this.#listening, host: 'localhost' } : this.#listening;
    return httpOrigin(publicAddress(local));
  }

  get peer(): PeerId {
    if (this.#node === undefined) throw new ListenError('relay', this.#listening);
    return this.#node.peer;
  }

  get stunPort(): number {
    return this.#stun?.port ?? 0;
  }

  async start(): Promise<void> {
    const { identityFile, host, port, stunPort, behindProxy, onEvent } = this.#options;
    const identity = identityFile === undefined ? randomIdentity() : await identityFrom(identityFile);
    const address = publicAddress(this.#listening);
    this.#listening = { ...this.#listening, port: await listen(this.#http.server, { host, port }) };
    this.#stun = await startStun({ host, port: stunPort });
    const announced = this.#options.publicUrl === undefined ? { ...address, port: this.#listening.port } : address;
    if (identityFile !== undefined) {
      const onFailed = (error: unknown): void => onEvent?.(`times of listed peers were not kept: ${errorText(error)}`);
      this.#listed = await openListedFile({ path: `${identityFile}.listed`, onFailed });
    }
    this.#node = await createRelay({
      identity,
      host: '127.0.0.1',
      port: 0,
      announce: [webSocketMultiaddr(announced)],
      ...(this.#listed === undefined ? {} : { listedTimes: this.#listed.times }),
      ...(behindProxy === true ? { clientAddress: forwardedFor } : {}),
    });
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#end();
    return this.#stopping;
  }

  async #end(): Promise<void> {
    const http = this.#http.server.listening ? this.#http.stop() : Promise.resolve();
    await Promise.all([this.#node?.stop(), this.#stun?.stop()]);
    await this.#listed?.stop();
    await http;
  }

  #notReady(): string | undefined {
    if (this.#stopping !== undefined) return 'the relay is stopping';
    return this.#node === undefined ? 'the relay is starting' : undefined;
  }

  /** RelayInfo, as packages/client/src/peer.ts has it. */
  async #info(hostHeader: string | undefined): Promise<object> {
    const address = publicAddress(this.#listening, hostHeader);
    const { turn } = this.#options;
    return {
      peer: this.peer,
      addresses: [webSocketMultiaddr(address)],
      iceServers: [{ urls: stunUrl(address, this.stunPort) }, ...(turn === undefined ? [] : [turn])],
      models: await this.#models.list(),
    };
  }

  #metricsText(): string {
    return this.#metrics.text({
      connections: this.#node?.connectionCount ?? 0,
      announcements: this.#node?.snapshot().length ?? 0,
      sockets: this.#http.sockets,
      stun: this.#stun?.counts ?? { answered: 0, malformed: 0, limited: 0 },
    });
  }
}

/** @returns the port. @throws ListenError */
function listen(server: Server, at: { host: string; port: number }): Promise<number> {
  return new Promise((resolve, reject) => {
    // Stays: a later error (no more file handles) belongs to one connection, never to the service.
    server.on('error', (cause) => reject(new ListenError('HTTP', at, { cause })));
    server.listen({ host: at.host, port: at.port }, () => resolve((server.address() as AddressInfo).port));
  });
}
