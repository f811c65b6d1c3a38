/** STUN over UDP: tells whoever asks the address it asked from, and keeps nothing. */
import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { ListenError } from './errors.ts';
import * as limits from './limits.ts';
import { RateLimiter } from './rate-limiter.ts';
import { sourceOf } from './sources.ts';
import { decodeBindingRequest, encodeBindingAnswer } from './stun.ts';

export interface StunCounts {
  answered: number;
  /** Not a binding request: dropped. */
  malformed: number;
  /** Over a limit: dropped. */
  limited: number;
}

export interface StunServer {
  readonly port: number;
  readonly counts: Readonly<StunCounts>;
  stop(): Promise<void>;
}

/**
 * @param host an address; `0.0.0.0` and `::` stand for every address, of both families
 * @param port 0 for any that is free
 * @throws ListenError
 */
export async function startStun({ host, port }: { host: string; port: number }): Promise<StunServer> {
  const counts: StunCounts = { answered: 0, malformed: 0, limited: 0 };
  const perSource = new RateLimiter({
    burstMax: limits.stunBurstMax,
    perSecond: limits.stunPerSecond,
    sourcesMax: limits.sourcesMax,
  });
  const total = new RateLimiter({
    burstMax: limits.stunTotalBurstMax,
    perSecond: limits.stunTotalPerSecond,
    sourcesMax: 1,
  });
  const answer = (socket: Socket, bytes: Uint8Array, from: { address: string; port: number }): void => {
    const request = decodeBindingRequest(bytes);
    if (request === undefined) {
      counts.malformed++;
      return;
    }
    if (!perSource.allows(sourceOf(from.address)) || !total.allows('all')) {
      counts.limited++;
      return;
    }
    counts.answered++;
    // An address that cannot be answered, such as port 0, is nobody's loss.
    socket.send(encodeBindingAnswer(request, from), from.port, from.address, () => undefined);
  };

  const sockets: Socket[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(sockets.splice(0).map((socket) => new Promise<void>((resolve) => socket.close(resolve))));
  };
  const everywhere = host === '0.0.0.0' || host === '::';
  const hosts = everywhere ? ['0.0.0.0', '::'] : [host];
  let bound = port;
  for (const each of hosts) {
    const socket = createSocket(isIPv6(each) ? { type: 'udp6', ipv6Only: true } : { type: 'udp4' });
    socket.on('message', (bytes, from) => answer(socket, bytes, from));
    try {
      bound = await bind(socket, { host: each, port: bound });
    } catch (cause) {
      socket.close();
      // A machine without IPv6 serves IPv4 alone.
      if (each === '::' && sockets.length > 0) continue;
      await stop();
      throw new ListenError('STUN', { host: each, port: bound }, { cause });
    }
    sockets.push(socket);
  }
  return { port: bound, counts, stop };
}

function bind(socket: Socket, { host, port }: { host: string; port: number }): Promise<number> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ address: host, port, exclusive: true }, () => {
      socket.off('error', reject);
      // A later error belongs to one datagram, never to the service.
      socket.on('error', () => undefined);
      resolve(socket.address().port);
    });
  });
}
