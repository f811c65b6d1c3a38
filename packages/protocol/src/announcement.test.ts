import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isExpired, openAnnouncement, signAnnouncement, type Announcement } from './announcement.ts';
import { encodeCbor } from './cbor.ts';
import { fuzz } from './fuzzing.fixture.ts';
import { manifestHash } from './ids.ts';
import * as limits from './limits.ts';
import { identityFromSeed } from './peer-id.ts';
import { sign } from './signing.ts';

const ann = identityFromSeed(new Uint8Array(32).fill(1));
const eve = identityFromSeed(new Uint8Array(32).fill(2));
const nowMs = 1_700_000_000_000;

const example: Announcement = {
  peer: ann.peer,
  issuedAtMs: nowMs,
  expiresAtMs: nowMs + 60_000,
  stage: {
    manifest: manifestHash('ab'.repeat(32)),
    span: { first: 0, last: 4 },
    stepsPerSecond: 12.5,
    queueLength: 3,
    backend: 'webgpu',
  },
  hopKeys: [new Uint8Array(32), new Uint8Array(32).fill(1)],
  operator: 'somebody',
  addresses: ['/ip4/127.0.0.1/udp/1/webrtc-direct'],
  seeds: [manifestHash('ab'.repeat(32)), manifestHash('cd'.repeat(32))],
};
const forwarder: Announcement = {
  ...example,
  stage: null,
  hopKeys: [],
  operator: null,
  addresses: [],
  seeds: [],
};

/** Signed as it is, whatever is wrong with it. */
const bent = (changes: object): Uint8Array => {
  const payload = encodeCbor({ ...example, ...changes });
  return encodeCbor({ payload, signature: sign('announcement v1', payload, ann) });
};
const refused = (bytes: Uint8Array, code = 'decode', atMs = nowMs): void =>
  expect(() => openAnnouncement(bytes, atMs)).toThrow(expect.objectContaining({ code }));

describe('announcement', () => {
  it('A2, A3: comes back as it was signed', () => {
    for (const each of [example, forwarder]) expect(openAnnouncement(signAnnouncement(each, ann), nowMs)).toEqual(each);
  });

  it('A1: refuses more than 4,096 bytes', () => {
    refused(new Uint8Array(limits.announcementBytesMax + 1));
    const addresses = Array.from({ length: 16 }, () => 'x'.repeat(512));
    refused(signAnnouncement({ ...example, addresses }, ann));
  });

  it('A2, A3: refuses values outside their limits', () => {
    const stage = example.stage ?? undefined;
    for (const changes of [
      { extra: 1 },
      { peer: 'nobody' },
      { peer: 7 },
      { issuedAtMs: -1 },
      { issuedAtMs: 1.5 },
      { hopKeys: [new Uint8Array(31)] },
      { hopKeys: [1, 2, 3].map(() => new Uint8Array(32)) },
      { operator: 'x'.repeat(65) },
      { networkGroup: new Uint8Array(16) },
      { addresses: Array.from({ length: 17 }, () => '/a') },
      { addresses: ['x'.repeat(513)] },
      { seeds: undefined },
      { seeds: ['AB'.repeat(32)] },
      { seeds: ['ab'.repeat(32), 'ab'.repeat(32)] },
      { seeds: Array.from({ length: 9 }, (_, n) => `${n}`.repeat(64)) },
      { stage: { ...stage, span: { first: 2, last: 2 } } },
      { stage: { ...stage, span: { first: 0, last: limits.layersMax + 1 } } },
      { stage: { ...stage, stepsPerSecond: -1 } },
      { stage: { ...stage, stepsPerSecond: 1e9 } },
      { stage: { ...stage, manifest: 'AB'.repeat(32) } },
      { stage: { ...stage, backend: 'abacus' } },
      { stage: { ...stage, queueLength: 0.5 } },
    ]) {
      refused(bent(changes));
    }
  });

  it('A4: refuses a signature by another, and for another purpose', () => {
    refused(signAnnouncement(example, eve), 'signature');
    const payload = encodeCbor(example);
    refused(encodeCbor({ payload, signature: sign('announcement v2', payload, ann) }), 'signature');
  });

  it('A5: lives at most 60 s, and at all', () => {
    refused(bent({ expiresAtMs: nowMs + 60_001 }));
    refused(bent({ expiresAtMs: nowMs }));
    refused(bent({ expiresAtMs: nowMs - 1 }));
    openAnnouncement(bent({ expiresAtMs: nowMs + 1 }), nowMs);
  });

  it('A6: holds from 30 s before it was issued to 30 s after it expired', () => {
    const bytes = signAnnouncement(example, ann);
    openAnnouncement(bytes, nowMs - 30_000);
    refused(bytes, 'decode', nowMs - 30_001);
    openAnnouncement(bytes, nowMs + 90_000);
    refused(bytes, 'decode', nowMs + 90_001);
    expect([isExpired(example, nowMs + 90_000), isExpired(example, nowMs + 90_001)]).toEqual([false, true]);
  });

  it('A6: a reader with any clock takes it for as long as it lives, and no longer', () => {
    const bytes = signAnnouncement(forwarder, ann);
    fc.assert(
      fc.property(fc.integer({ min: -200_000, max: 200_000 }), (offsetMs) => {
        const holds = offsetMs >= -30_000 && offsetMs <= 90_000;
        let opened = true;
        try {
          openAnnouncement(bytes, nowMs + offsetMs);
        } catch {
          opened = false;
        }
        expect(opened).toBe(holds);
      }),
    );
  });

  it('C4: gives a value that the peer signed or a typed error, whatever the bytes are', () => {
    const valid = [signAnnouncement(example, ann), signAnnouncement(forwarder, ann)];
    // Whatever is damaged, nothing but what was signed can come out.
    const check = (announcement: Announcement): void => expect([example, forwarder]).toContainEqual(announcement);
    fuzz((bytes) => openAnnouncement(bytes, nowMs), check, valid);
  });

  it('C4: survives damage inside of what a peer signed itself', () => {
    fuzz(
      (payload) => openAnnouncement(encodeCbor({ payload, signature: sign('announcement v1', payload, ann) }), nowMs),
      (announcement) => {
        expect(announcement.peer).toBe(ann.peer);
        expect(announcement.expiresAtMs - announcement.issuedAtMs).toBeLessThanOrEqual(limits.announcementLifeMsMax);
        expect(announcement.addresses.length).toBeLessThanOrEqual(limits.addressesMax);
      },
      [encodeCbor(example), encodeCbor(forwarder)],
    );
  });
});
