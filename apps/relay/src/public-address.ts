/** How others reach this relay: from its public URL, from the address it listens on, or from what a request asked for. */
import { isIPv4, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { InvalidValueError } from '@unfed/protocol';

export interface PublicAddress {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
}

export interface Listening {
  readonly host: string;
  readonly port: number;
  /** Where a proxy in front serves this relay. */
  readonly publicUrl?: string | undefined;
}

const everywhere = new Set(['0.0.0.0', '::']);

/** @throws InvalidValueError unless it is the `http:` or `https:` URL of a host alone */
export function parsePublicUrl(text: string): PublicAddress {
  const url = URL.canParse(text) ? new URL(text) : null;
  const secure = url?.protocol === 'https:';
  if (url === null || (!secure && url.protocol !== 'http:') || url.pathname !== '/' || url.search !== '') {
    throw new InvalidValueError('public URL', 'https://HOST or http://HOST:PORT, without a path', text.slice(0, 200));
  }
  const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port);
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port, secure };
}

/** @param hostHeader of the request that asks; believed only for the answer to this very request */
export function publicAddress({ host, port, publicUrl }: Listening, hostHeader?: string): PublicAddress {
  if (publicUrl !== undefined) return parsePublicUrl(publicUrl);
  if (!everywhere.has(host)) return { host, port, secure: false };
  return { host: hostOf(hostHeader) ?? ownAddress(), port, secure: false };
}

/** @returns the host of a `Host` header, or undefined where it is none that a multiaddr can hold */
function hostOf(header: string | undefined): string | undefined {
  if (header === undefined || header.length > 260) return undefined;
  const host = header.replace(/:\d{1,5}$/, '').replace(/^\[|\]$/g, '');
  if (host === 'localhost') return '127.0.0.1';
  if (isIPv4(host) || isIPv6(host)) return host;
  const isName = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i.test(host);
  // URLs take some names for numbers of an address (`08`, `1.2`): those are none.
  const inUrl = `http://${host.toLowerCase()}`;
  return isName && URL.canParse(inUrl) && new URL(inUrl).origin === inUrl ? host.toLowerCase() : undefined;
}

/** An address of this machine in its network. */
function ownAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return addresses.find((each) => each.family === 'IPv4' && !each.internal)?.address ?? '127.0.0.1';
}

/** The multiaddr of the relay's WebSocket. */
export function webSocketMultiaddr({ host, port, secure }: PublicAddress): string {
  const family = isIPv4(host) ? 'ip4' : isIPv6(host) ? 'ip6' : 'dns4';
  return `/${family}/${host}/tcp/${port}/${secure ? 'tls/ws' : 'ws'}`;
}

const inUrl = (host: string): string => (isIPv6(host) ? `[${host}]` : host);

export function httpOrigin({ host, port, secure }: PublicAddress): string {
  return new URL(`${secure ? 'https' : 'http'}://${inUrl(host)}:${port}`).origin;
}

/** As a content security policy names it. */
export function webSocketOrigin(address: PublicAddress): string {
  return httpOrigin(address).replace(/^http/, 'ws');
}

export function stunUrl({ host }: PublicAddress, port: number): string {
  return `stun:${inUrl(host)}:${port}`;
}
