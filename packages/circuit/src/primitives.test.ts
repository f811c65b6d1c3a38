/** The primitives as this package uses them, against their published vectors. */
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { x25519 } from '@noble/curves/ed25519.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { sha3_256 } from '@noble/hashes/sha3.js';
import { bytesToHex, hexToBytes } from '@unfed/protocol';
import { describe, expect, it } from 'vitest';

const text = new TextEncoder();

describe('published vectors', () => {
  it('X25519: RFC 7748, section 5.2', () => {
    const scalar = hexToBytes('a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4');
    const point = hexToBytes('e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c');
    const secret = 'c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552';
    expect(bytesToHex(x25519.getSharedSecret(scalar, point))).toBe(secret);
  });

  it('ChaCha20-Poly1305: RFC 8439, section 2.8.2', () => {
    const key = Uint8Array.from({ length: 32 }, (_, i) => 0x80 + i);
    const nonce = hexToBytes('070000004041424344454647');
    const additional = hexToBytes('50515253c0c1c2c3c4c5c6c7');
    const plaintext = text.encode(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
    );
    const sealed = chacha20poly1305(key, nonce, additional).encrypt(plaintext);
    expect(bytesToHex(sealed.subarray(0, 16))).toBe('d31a8d34648e60db7b86afbc53ef7ec2');
    expect(bytesToHex(sealed.subarray(-16))).toBe('1ae10b594f09e26a7e902ecbd0600691');
  });

  it('SHA3-256: FIPS 202, "abc"', () => {
    const digest = '3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532';
    expect(bytesToHex(sha3_256(text.encode('abc')))).toBe(digest);
  });

  it('HMAC-SHA-256: RFC 4231, test case 2', () => {
    const mac = '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843';
    expect(bytesToHex(hmac(sha256, text.encode('Jefe'), text.encode('what do ya want for nothing?')))).toBe(mac);
  });
});
