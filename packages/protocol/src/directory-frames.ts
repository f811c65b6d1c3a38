/**
 * The frames between a peer and a relay's directory (protocol `/unfed/directory/1`, see SPEC.md).
 * A peer announces itself and follows the whole directory; it never asks for one pool alone, which would say what it wants.
 */
import * as v from 'valibot';
import { peerIdSchema } from './announcement.ts';
import { anyBytes, decodeCbor, encodeCbor, fixedBytes, integer } from './cbor.ts';
import * as limits from './limits.ts';

export const directoryProtocol = '/unfed/directory/1';

const sealed = v.pipe(
  anyBytes,
  v.check((bytes) => bytes.byteLength <= limits.announcementBytesMax, 'a short announcement'),
);

/** An announcement, and beside it what the relay says of the peer by itself: the peer signs and chooses nothing of that. */
const listed = v.strictObject({
  announcement: sealed,
  /** The relay's keyed hash of the network that the peer is connected from. */
  networkGroup: fixedBytes(limits.networkGroupBytes),
  /** For how long the relay has listed this peer, all times together. */
  listedMs: integer(0, Number.MAX_SAFE_INTEGER),
});

const frameSchema = v.variant('kind', [
  /** To the relay: list me until this expires, or until I leave. */
  v.strictObject({ kind: v.literal('announce'), announcement: sealed }),
  v.strictObject({ kind: v.literal('withdraw') }),
  /** To the relay: send me all, then every change. */
  v.strictObject({ kind: v.literal('follow') }),
  /** From the relay: `whole` replaces everything the follower held. */
  v.strictObject({
    kind: v.literal('changed'),
    whole: v.boolean(),
    added: v.pipe(v.array(listed), v.maxLength(limits.directoryAnnouncementsMax)),
    removed: v.pipe(v.array(peerIdSchema), v.maxLength(limits.directoryAnnouncementsMax)),
  }),
]);

export type DirectoryFrame = v.InferOutput<typeof frameSchema>;
export type ListedAnnouncement = v.InferOutput<typeof listed>;

export function encodeDirectoryFrame(frame: DirectoryFrame): Uint8Array<ArrayBuffer> {
  return encodeCbor(frame);
}

/** @throws DecodeError */
export function decodeDirectoryFrame(bytes: Uint8Array): DirectoryFrame {
  return decodeCbor(frameSchema, bytes, { what: 'directory frame', bytesMax: limits.directoryFrameBytesMax });
}
