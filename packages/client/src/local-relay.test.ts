import { describe, expect, it } from 'vitest';
import { isLocalRelay } from './local-relay.ts';

describe('a local relay', () => {
  it('has private addresses alone', () => {
    expect(isLocalRelay(['/ip4/127.0.0.1/tcp/8080/ws'])).toBe(true);
    expect(isLocalRelay(['/dns4/localhost/tcp/8080/ws', '/ip4/10.77.0.1/tcp/8080/ws', '/ip6/::1/tcp/1/ws'])).toBe(true);
    expect(isLocalRelay(['/ip4/172.16.0.1/tcp/1/ws', '/ip4/192.168.1.2/tcp/1/ws'])).toBe(true);
  });

  it('is no public one, and none that adds a private address to a public one', () => {
    expect(isLocalRelay([])).toBe(false);
    expect(isLocalRelay(['/ip4/203.0.113.7/tcp/443/wss'])).toBe(false);
    expect(isLocalRelay(['/dns4/localhost.example.org/tcp/443/wss'])).toBe(false);
    expect(isLocalRelay(['/ip4/172.32.0.1/tcp/1/ws'])).toBe(false);
    expect(isLocalRelay(['/ip4/203.0.113.7/tcp/443/wss', '/ip4/127.0.0.1/tcp/8080/ws'])).toBe(false);
  });
});
