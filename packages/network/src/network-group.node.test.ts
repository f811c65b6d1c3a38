import { identityFromSeed, randomIdentity } from '@unfed/protocol';
import { describe, expect, it } from 'vitest';
import { networkGroups, networkOf } from './network-group.node.ts';

describe('the network of an address', () => {
  it.each([
    ['192.0.2.1', 'ip4 192.0'],
    ['192.0.200.9', 'ip4 192.0'],
    ['192.1.2.1', 'ip4 192.1'],
    ['127.0.0.1', 'ip4 127.0'],
    ['10.1.2.3', 'ip4 10.1'],
    ['::ffff:192.0.2.1', 'ip4 192.0'],
    ['2001:db8::1', 'ip6 2001:db8'],
    ['2001:0DB8:ffff:1::', 'ip6 2001:db8'],
    ['2001:db9::1', 'ip6 2001:db9'],
    ['2001::1', 'ip6 2001:0'],
    ['::1', 'ip6 0:0'],
    ['::', 'ip6 0:0'],
    ['1::', 'ip6 1:0'],
    ['fe80::1%eth0', 'ip6 fe80:0'],
    ['64:ff9b::192.0.2.1', 'ip6 64:ff9b'],
    ['1:2:3:4:5:6:7:8', 'ip6 1:2'],
    ['relay.example', 'unknown'],
    ['', 'unknown'],
    [undefined, 'unknown'],
  ])('A10: of %s is %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});

describe('the name of a network', () => {
  const [ours, theirs] = [randomIdentity(), randomIdentity()];

  it('A10: is the same for all addresses in it and for no other, 16 bytes long', () => {
    const groupOf = networkGroups(ours);
    expect(groupOf('192.0.2.1')).toEqual(groupOf('192.0.99.99'));
    expect(groupOf('192.0.2.1')).not.toEqual(groupOf('192.1.2.1'));
    expect(groupOf('192.0.2.1')).toHaveLength(16);
    expect(groupOf(undefined)).toHaveLength(16);
  });

  it('A10: lasts as long as the relay’s identity, and is another at another relay', () => {
    const again = identityFromSeed(ours.seed.slice());
    expect(networkGroups(again)('192.0.2.1')).toEqual(networkGroups(ours)('192.0.2.1'));
    expect(networkGroups(theirs)('192.0.2.1')).not.toEqual(networkGroups(ours)('192.0.2.1'));
  });
});
