import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hexToBytes, manifestHash } from './ids.ts';
import { signManifest, verifyManifestSignature } from './manifest-signature.ts';
import { identityFromSeed } from './peer-id.ts';
import { sign } from './signing.ts';

const publisher = identityFromSeed(new Uint8Array(32).fill(1));
const other = identityFromSeed(new Uint8Array(32).fill(2));
const hash = manifestHash('ab'.repeat(32));
const signature = signManifest(hash, publisher);
const bad = expect.objectContaining({ code: 'signature' });

describe('manifest signature', () => {
  it('M8: is by the publisher, over the hash of this manifest', () => {
    verifyManifestSignature(hash, signature, publisher.peer);
    expect(() => verifyManifestSignature(hash, signature, other.peer)).toThrow(bad);
    expect(() => verifyManifestSignature(manifestHash('ac'.repeat(32)), signature, publisher.peer)).toThrow(bad);
    expect(signature).toEqual(sign('manifest v1', hexToBytes(hash), publisher));
  });

  it('M8, G2: no signature for another purpose serves', () => {
    const forOther = sign('announcement v1', hexToBytes(hash), publisher);
    expect(() => verifyManifestSignature(hash, forOther, publisher.peer)).toThrow(bad);
  });

  it('M8, C4: whatever the bytes are, only those that the publisher signed pass', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.uint8Array({ maxLength: 70 }), fc.uint8Array({ minLength: 64, maxLength: 64 })),
        (bytes) => {
          const code = bytes.length === 64 ? 'signature' : 'decode';
          expect(() => verifyManifestSignature(hash, bytes, publisher.peer)).toThrow(expect.objectContaining({ code }));
        },
      ),
    );
  });
});
