import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { identityFromSeed, peerId, peerIdFromPublicKey, publicKeyOf, randomIdentity } from './peer-id.ts';

const seeds = fc.uint8Array({ minLength: 32, maxLength: 32 });
const invalid = expect.objectContaining({ code: 'invalid-value' });

describe('peer id', () => {
  it('N1: is the one that libp2p makes from the same seed', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const theirs = peerIdFromPrivateKey(await generateKeyPairFromSeed('Ed25519', seed));
        expect(identityFromSeed(seed).peer).toBe(theirs.toString());
        expect(publicKeyOf(theirs.toString())).toEqual(Uint8Array.from(theirs.publicKey.raw));
      }),
      { numRuns: 30 },
    );
  });

  it('N1: is read by libp2p', () => {
    const { peer } = randomIdentity();
    expect(peerIdFromString(peer).toString()).toBe(peer);
    expect(peerIdFromPublicKey(publicKeyOf(peer))).toBe(peer);
  });

  it('N1: refuses other kinds, other forms and damaged text', () => {
    const good = identityFromSeed(new Uint8Array(32)).peer;
    expect(peerId(good)).toBe(good);
    for (const text of [
      '',
      'QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N',
      'bafzaajaiaejca24q7uhr7adt3rtai4ixtn2r3q72kccwvwzg6wnfetwqyvrs5n2d',
      '16Uiu2HAmAQr3Ck3xtr7pWCYqgMrgaqyRzcjyQRiUDGEcPwpGC8Ue',
      good.slice(1),
      `${good}1`,
      `1${good}`,
      ` ${good}`,
      good.replace('K', '0'),
      'x'.repeat(100_000),
    ]) {
      expect(() => peerId(text), text.slice(0, 60)).toThrow(invalid);
    }
  });

  it('N1: has one text for one key', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme-ascii', maxLength: 60 }), seeds, fc.nat(51), (noise, seed, at) => {
        const { peer } = identityFromSeed(seed);
        const damaged = peer.slice(0, at) + (noise[0] ?? '') + peer.slice(at + 1);
        for (const text of [noise, damaged]) {
          try {
            expect(peerIdFromPublicKey(publicKeyOf(text))).toBe(text);
          } catch (error) {
            expect(error).toMatchObject({ code: 'invalid-value' });
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  it('needs seeds and keys of 32 bytes', () => {
    expect(() => identityFromSeed(new Uint8Array(31))).toThrow(invalid);
    expect(() => peerIdFromPublicKey(new Uint8Array(33))).toThrow(invalid);
  });
});
