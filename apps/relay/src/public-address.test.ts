import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  httpOrigin,
  parsePublicUrl,
  publicAddress,
  stunUrl,
  webSocketMultiaddr,
  webSocketOrigin,
} from './public-address.ts';

const multiaddrAt = (host: string, header?: string): string =>
  webSocketMultiaddr(publicAddress({ host, port: 8080 }, header));

describe('public address', () => {
  it('is the address listened on, where that is one', () => {
    expect(multiaddrAt('127.0.0.1', 'evil.example')).toBe('/ip4/127.0.0.1/tcp/8080/ws');
    expect(multiaddrAt('::1')).toBe('/ip6/::1/tcp/8080/ws');
  });

  it('is what the request asked for, where the relay listens everywhere', () => {
    expect(multiaddrAt('0.0.0.0', '192.0.2.5:8080')).toBe('/ip4/192.0.2.5/tcp/8080/ws');
    expect(multiaddrAt('::', '[2001:db8::5]:8080')).toBe('/ip6/2001:db8::5/tcp/8080/ws');
    expect(multiaddrAt('0.0.0.0', 'localhost:8080')).toBe('/ip4/127.0.0.1/tcp/8080/ws');
    expect(multiaddrAt('0.0.0.0', 'relay.example')).toBe('/dns4/relay.example/tcp/8080/ws');
  });

  it('is the public URL, where a proxy stands in front', () => {
    const address = publicAddress({ host: '127.0.0.1', port: 8080, publicUrl: 'https://relay.example' }, 'x');
    expect(webSocketMultiaddr(address)).toBe('/dns4/relay.example/tcp/443/tls/ws');
    expect([httpOrigin(address), webSocketOrigin(address)]).toEqual(['https://relay.example', 'wss://relay.example']);
    expect(stunUrl(address, 3478)).toBe('stun:relay.example:3478');
  });

  it('writes IPv6 addresses as URLs do', () => {
    const address = publicAddress({ host: '::1', port: 8080 });
    expect(stunUrl(address, 3478)).toBe('stun:[::1]:3478');
    expect(webSocketOrigin(address)).toBe('ws://[::1]:8080');
  });

  it('refuses public URLs that are none', () => {
    for (const text of ['relay.example', 'ftp://relay.example', 'https://relay.example/path', 'https://a/?q', '']) {
      expect(() => parsePublicUrl(text), text).toThrow(expect.objectContaining({ code: 'invalid-value' }));
    }
  });

  it('takes no Host header into a policy or an address that is not a host', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.domain(), fc.webAuthority()), (header) => {
        const address = publicAddress({ host: '0.0.0.0', port: 8080 }, header);
        expect(webSocketMultiaddr(address)).toMatch(/^\/(ip4|ip6|dns4)\/[a-z0-9.:-]+\/tcp\/8080\/ws$/i);
        expect(webSocketOrigin(address)).toMatch(/^ws:\/\/[a-z0-9.:[\]-]+$/i);
      }),
    );
  });
});
