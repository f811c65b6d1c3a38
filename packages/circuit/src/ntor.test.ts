import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesToHex, hexToBytes } from '@unfed/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat } from './bytes.ts';
import { CircuitError } from './errors.ts';
import { publicKeyOfSecret, readHandshake, startHandshake } from './ntor.ts';
import { ownVector, type NtorVector } from './ntor-vector.fixture.ts';
import { seededBytes } from './seeded-random.fixture.ts';

/** Tor's published vector: not ours to copy, read where it stands beside the clone. */
const published = join(import.meta.dirname, '../../../../shared/vectors/ntor/ntor-v3.json');
const vectors: NtorVector[] = [ownVector];
if (existsSync(published)) vectors.push(JSON.parse(readFileSync(published, 'utf8')) as NtorVector);
else process.stderr.write('no published ntor v3 vector beside the clone: checked against our own alone\n');

const text = new TextEncoder();
const verification = text.encode('test');

function pair(seed: number) {
  const random = seededBytes(seed);
  const hopSecret = random(32);
  const target = { id: random(32), hopKey: publicKeyOfSecret(hopSecret), verification };
  const secretOf = (key: Uint8Array) => (bytesToHex(key) === bytesToHex(target.hopKey) ? hopSecret : undefined);
  return { random, target, own: { id: target.id, verification, secretOf } };
}

const reasonOf = (work: () => unknown): string => {
  try {
    work();
    return 'nothing';
  } catch (error) {
    if (!(error instanceof CircuitError)) throw error;
    return error.reason;
  }
};

describe('ntor v3 (C1)', () => {
  it.each(vectors)('$name: both messages and the key stream, byte for byte', (vector) => {
    const bytes = (name: keyof NtorVector) => hexToBytes(vector[name]);
    expect(bytesToHex(publicKeyOfSecret(bytes('b_sk')))).toBe(vector.b_pk);
    const target = { id: bytes('id'), hopKey: bytes('b_pk'), verification: bytes('verification') };
    const client = startHandshake(target, bytes('client_message'), () => bytes('x_sk'));
    expect(bytesToHex(client.handshake)).toBe(vector.client_handshake);
    const own = { id: target.id, verification: target.verification, secretOf: () => bytes('b_sk') };
    const hop = readHandshake(client.handshake, own);
    expect(bytesToHex(hop.message)).toBe(vector.client_message);
    const { answer: seal, keys } = hop.accept(() => bytes('y_sk'));
    const answer = seal(bytes('server_message'));
    expect(bytesToHex(answer)).toBe(vector.server_handshake);
    expect(bytesToHex(keys(256))).toBe(vector.keys_256);
    const done = client.finish(answer);
    expect([bytesToHex(done.message), bytesToHex(done.keys(256))]).toEqual([vector.server_message, vector.keys_256]);
  });

  it('gives both ends the same keys, and both messages', () => {
    fc.assert(
      fc.property(fc.nat(), fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 300 }), (seed, ask, say) => {
        const { random, target, own } = pair(seed);
        const client = startHandshake(target, ask, random);
        const hop = readHandshake(client.handshake, own);
        const { answer, keys } = hop.accept(random);
        const done = client.finish(answer(say));
        expect(hop.message).toEqual(ask);
        expect(done.message).toEqual(say);
        expect(done.keys(100)).toEqual(keys(100));
      }),
      { numRuns: 20 },
    );
  });

  it('refuses a handshake of which any bit was changed, and any length', () => {
    const { random, target, own } = pair(1);
    const { handshake } = startHandshake(target, text.encode('a part'), random);
    fc.assert(
      fc.property(fc.nat(handshake.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const changed = handshake.slice();
        changed[at] ^= mask;
        expect(['bad-handshake', 'stale-key']).toContain(reasonOf(() => readHandshake(changed, own)));
        expect(reasonOf(() => readHandshake(handshake.subarray(0, at), own))).toBe('bad-handshake');
      }),
      { numRuns: 60 },
    );
  });

  it('refuses an answer of which any bit was changed: a hop with a wrong key cannot answer', () => {
    const { random, target, own } = pair(2);
    const client = startHandshake(target, text.encode('a part'), random);
    const answer = readHandshake(client.handshake, own).accept(random).answer(text.encode('yes'));
    fc.assert(
      fc.property(fc.nat(answer.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        // The highest bit of a Curve25519 key is not part of it, but of what is hashed.
        const changed = answer.slice();
        changed[at] ^= mask;
        expect(reasonOf(() => client.finish(changed))).toBe('bad-handshake');
        expect(reasonOf(() => client.finish(answer.subarray(0, at)))).toBe('bad-handshake');
      }),
      { numRuns: 60 },
    );
  });

  it('refuses keys of small order, another hop, and a hop key that is no longer valid', () => {
    const { random, target, own } = pair(3);
    expect(reasonOf(() => startHandshake({ ...target, hopKey: new Uint8Array(32) }, text.encode(''), random))).toBe(
      'bad-handshake',
    );
    const { handshake } = startHandshake(target, text.encode(''), random);
    expect(reasonOf(() => readHandshake(handshake, { ...own, id: random(32) }))).toBe('bad-handshake');
    expect(reasonOf(() => readHandshake(handshake, { ...own, secretOf: () => undefined }))).toBe('stale-key');
    const small = concat(handshake.subarray(0, 64), new Uint8Array(32), handshake.subarray(96));
    expect(reasonOf(() => readHandshake(small, own))).toBe('bad-handshake');
  });
});
