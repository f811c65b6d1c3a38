/** Announcements: what a peer offers to others, signed by it, short-lived, verified by everyone who reads one. */
import * as v from 'valibot';
import { anyBytes, decodeCbor, encodeCbor, fixedBytes, integer, text } from './cbor.ts';
import { DecodeError } from './errors.ts';
import { manifestHash, type ManifestHash } from './ids.ts';
import * as limits from './limits.ts';
import { peerId, type Identity, type PeerId } from './peer-id.ts';
import { sign, verify } from './signing.ts';

const label = 'announcement v1';

const spanSchema = v.pipe(
  v.strictObject({ first: integer(0, limits.layersMax), last: integer(1, limits.layersMax) }),
  v.check((span) => span.first < span.last, 'first below last'),
);

export const peerIdSchema = v.pipe(
  text(64),
  v.rawTransform<string, PeerId>(({ dataset, addIssue, NEVER }) => {
    try {
      return peerId(dataset.value);
    } catch {
      addIssue({ message: 'an Ed25519 peer id', expected: 'an Ed25519 peer id', received: dataset.value.slice(0, 64) });
      return NEVER;
    }
  }),
);

export const manifestHashSchema = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{64}$/),
  v.transform((hash): ManifestHash => manifestHash(hash)),
);

export const addressesSchema = v.pipe(v.array(text(limits.addressCharsMax)), v.maxLength(limits.addressesMax));

const announcementSchema = v.strictObject({
  peer: peerIdSchema,
  issuedAtMs: integer(0, Number.MAX_SAFE_INTEGER),
  expiresAtMs: integer(0, Number.MAX_SAFE_INTEGER),
  /** What the peer computes; null for one that only forwards. */
  stage: v.nullable(
    v.strictObject({
      manifest: manifestHashSchema,
      span: spanSchema,
      /** Measured: decode steps a second through the whole span, by one session alone. */
      stepsPerSecond: v.pipe(v.number(), v.finite(), v.minValue(0), v.maxValue(1e6)),
      /** Sessions open now. */
      queueLength: integer(0, 1_000_000),
      backend: v.picklist(['webgpu', 'wasm', 'node-cpu']),
    }),
  ),
  /** X25519 keys for circuit handshakes, this hour's first; empty while a peer takes no circuits. */
  hopKeys: v.pipe(v.array(fixedBytes(32)), v.maxLength(2)),
  /** Who runs this peer, as they say themselves. */
  operator: v.nullable(text(limits.operatorCharsMax)),
  /** Multiaddrs at which the peer can be reached. */
  addresses: addressesSchema,
  /** Models of which the peer exchanges chunks now: it has some to give, or fetches them. Each once. */
  seeds: v.pipe(
    v.array(manifestHashSchema),
    v.maxLength(limits.seedsMax),
    v.check((seeds) => new Set(seeds).size === seeds.length, 'each model once'),
  ),
});

const envelopeSchema = v.strictObject({
  payload: v.pipe(
    anyBytes,
    v.check((bytes) => bytes.byteLength <= limits.announcementBytesMax, 'a short payload'),
  ),
  signature: fixedBytes(64),
});

export type Announcement = v.InferOutput<typeof announcementSchema>;
export type StageOffer = NonNullable<Announcement['stage']>;

/** @returns the bytes that travel: payload and signature */
export function signAnnouncement(announcement: Announcement, identity: Identity): Uint8Array<ArrayBuffer> {
  const payload = encodeCbor(announcement);
  return encodeCbor({ payload, signature: sign(label, payload, identity) });
}

/**
 * Rules: within the size limit; signed by the peer it names; not expired; a life of at most 60 s; not from the future.
 * @param nowMs the reader's clock, ms since 1970
 * @throws DecodeError, SignatureError
 */
export function openAnnouncement(bytes: Uint8Array, nowMs: number): Announcement {
  const envelope = decodeCbor(envelopeSchema, bytes, { what: 'announcement', bytesMax: limits.announcementBytesMax });
  const announcement = decodeCbor(announcementSchema, envelope.payload, {
    what: 'announcement',
    bytesMax: limits.announcementBytesMax,
  });
  const lifeMs = announcement.expiresAtMs - announcement.issuedAtMs;
  if (lifeMs <= 0 || lifeMs > limits.announcementLifeMsMax) {
    throw new DecodeError(
      'announcement (expiresAtMs)',
      `a life of at most ${limits.announcementLifeMsMax} ms`,
      `${lifeMs} ms`,
    );
  }
  if (announcement.issuedAtMs > nowMs + limits.clockSkewMsMax) {
    throw new DecodeError(
      'announcement (issuedAtMs)',
      'a time that has come',
      `${announcement.issuedAtMs - nowMs} ms ahead`,
    );
  }
  if (isExpired(announcement, nowMs)) {
    throw new DecodeError('announcement (expiresAtMs)', 'a time to come', `${nowMs - announcement.expiresAtMs} ms ago`);
  }
  verify(label, envelope.payload, { signature: envelope.signature, peer: announcement.peer });
  return announcement;
}

/** Both clocks may be off by the allowed skew; a peer that left is noticed by its links long before. */
export function isExpired(announcement: Announcement, nowMs: number): boolean {
  return nowMs > announcement.expiresAtMs + limits.clockSkewMsMax;
}
