import { createPrivateKey, createPublicKey, sign as nodeSign, verify as nodeVerify } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hexToBytes } from './ids.ts';
import { identityFromSeed, peerIdFromPublicKey, publicKeyOf } from './peer-id.ts';
import { sign, verify } from './signing.ts';

const identity = identityFromSeed(hexToBytes('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'));
const other = identityFromSeed(new Uint8Array(32).fill(2));
const payload = Uint8Array.of(1, 2, 3);
const bad = expect.objectContaining({ code: 'signature' });

const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), identity.seed]);
const nodeKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });

describe('signature', () => {
  it('G1: has the key of RFC 8032, 7.1, test 1', () => {
    expect(publicKeyOf(identity.peer)).toEqual(
      hexToBytes('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'),
    );
  });

  it('G1: is Ed25519 over label, zero and payload, as another implementation makes it', () => {
    const message = Buffer.concat([Buffer.from('unfed some label\0'), payload]);
    const signature = sign('some label', payload, identity);
    expect(Buffer.from(signature)).toEqual(nodeSign(null, message, nodeKey));
    expect(nodeVerify(null, message, createPublicKey(nodeKey), signature)).toBe(true);
    verify('some label', payload, { signature, peer: identity.peer });
  });

  it('G2: serves no other label, payload or peer', () => {
    const signature = sign('a', payload, identity);
    expect(() => verify('b', payload, { signature, peer: identity.peer })).toThrow(bad);
    expect(() => verify('a', Uint8Array.of(1, 2), { signature, peer: identity.peer })).toThrow(bad);
    expect(() => verify('a', payload, { signature, peer: other.peer })).toThrow(bad);
  });

  it('G1: no changed bit and no other length passes', () => {
    const signature = sign('a', payload, identity);
    fc.assert(
      fc.property(fc.nat(511), (bit) => {
        const changed = signature.slice();
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(() => verify('a', payload, { signature: changed, peer: identity.peer })).toThrow(bad);
      }),
      { numRuns: 64 },
    );
    for (const length of [0, 63, 65]) {
      const changed = new Uint8Array(length);
      changed.set(signature.subarray(0, length));
      expect(() => verify('a', payload, { signature: changed, peer: identity.peer })).toThrow(bad);
    }
  });

  it('G1: is refused for a key of small order, which signs everything', () => {
    const smallOrder = peerIdFromPublicKey(new Uint8Array(32).fill(0, 1).fill(1, 0, 1));
    const signature = new Uint8Array(64).fill(1, 0, 1);
    expect(() => verify('a', payload, { signature, peer: smallOrder })).toThrow(bad);
  });
});
