/** The next TCP port on localhost that nobody holds. */
import { createServer } from 'node:net';
import { InvalidValueError } from '@unfed/protocol';
import { portTriesMax } from './limits.ts';

/**
 * @param wanted the first port tried, then the next ones; 0 for any
 * @throws InvalidValueError when 50 ports in a row are taken
 */
export async function freePort(wanted: number, host = '127.0.0.1'): Promise<number> {
  const last = wanted === 0 ? 0 : Math.min(65_535, wanted + portTriesMax - 1);
  for (let port = wanted; port <= last; port++) {
    const free = await tryPort(port, host);
    if (free !== undefined) return free;
  }
  throw new InvalidValueError('port', 'a free port', `${wanted} to ${last}, all taken; set PORT to another`);
}

function tryPort(port: number, host: string): Promise<number | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(undefined));
    server.listen({ port, host, exclusive: true }, () => {
      const address = server.address();
      const bound = typeof address === 'object' && address !== null ? address.port : undefined;
      server.close(() => resolve(bound));
    });
  });
}
