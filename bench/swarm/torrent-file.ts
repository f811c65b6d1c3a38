/** A torrent of the same chunks as pieces (BEP 3): WebTorrent's own seeding would hash everything again in every round. */
import { limits } from '@unfed/protocol';

type Bencoded = string | number | Buffer | { readonly [key: string]: Bencoded };

/** @param sha1 of every piece of 1 MiB @param announce the tracker's address */
export function torrentFile(sha1: readonly Buffer[], announce: string): Buffer {
  return bencode({
    announce,
    info: {
      length: sha1.length * limits.chunkBytes,
      name: 'chunks.bin',
      'piece length': limits.chunkBytes,
      pieces: Buffer.concat(sha1),
    },
  });
}

/** Keys must come sorted. */
function bencode(value: Bencoded): Buffer {
  if (typeof value === 'number') return Buffer.from(`i${value}e`);
  if (typeof value === 'string') return bencode(Buffer.from(value));
  if (value instanceof Buffer) return Buffer.concat([Buffer.from(`${value.byteLength}:`), value]);
  const entries = Object.entries(value).map(([key, inner]) => Buffer.concat([bencode(key), bencode(inner)]));
  return Buffer.concat([Buffer.from('d'), ...entries, Buffer.from('e')]);
}
