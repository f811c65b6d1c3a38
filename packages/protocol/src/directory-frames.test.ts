import { describe, expect, it } from 'vitest';
import { encodeCbor } from './cbor.ts';
import { decodeDirectoryFrame, encodeDirectoryFrame, type DirectoryFrame } from './directory-frames.ts';
import { fuzz } from './fuzzing.fixture.ts';
import * as limits from './limits.ts';
import { identityFromSeed } from './peer-id.ts';

const { peer } = identityFromSeed(new Uint8Array(32).fill(1));
const announcement = Uint8Array.of(1, 2, 3);
const frames: DirectoryFrame[] = [
  { kind: 'announce', announcement },
  { kind: 'withdraw' },
  { kind: 'follow' },
  { kind: 'changed', whole: true, added: [announcement, new Uint8Array(4096)], removed: [peer] },
];
const refused = (bytes: Uint8Array): void =>
  expect(() => decodeDirectoryFrame(bytes)).toThrow(expect.objectContaining({ code: 'decode' }));

describe('directory frames', () => {
  it('D2, D3: come back as they were sent', () => {
    for (const each of frames) expect(decodeDirectoryFrame(encodeDirectoryFrame(each))).toEqual(each);
  });

  it('D1: refuse other kinds and more than 4 MiB', () => {
    for (const body of [{ kind: 'find', manifest: 'x' }, { kind: 'follow', manifest: 'x' }, {}, [], 'follow', null]) {
      refused(encodeCbor(body));
    }
    refused(new Uint8Array(limits.directoryFrameBytesMax + 1));
  });

  it('D3: refuse announcements that are too long, and too many', () => {
    const long = new Uint8Array(limits.announcementBytesMax + 1);
    refused(encodeCbor({ kind: 'announce', announcement: long }));
    const changed = { kind: 'changed', whole: false, added: [], removed: [] };
    const many = Array.from({ length: limits.directoryAnnouncementsMax + 1 }, () => new Uint8Array());
    refused(encodeCbor({ ...changed, added: [long] }));
    refused(encodeCbor({ ...changed, added: many }));
    refused(encodeCbor({ ...changed, removed: many.map(() => peer) }));
    refused(encodeCbor({ ...changed, removed: ['nobody'] }));
    refused(encodeCbor({ ...changed, whole: 1 }));
  });

  it('D4: pass on what only its reader can judge', () => {
    const frame = decodeDirectoryFrame(encodeDirectoryFrame({ kind: 'announce', announcement: new Uint8Array() }));
    expect(frame).toEqual({ kind: 'announce', announcement: new Uint8Array() });
  });

  it('C4: give a value or a typed error, whatever the bytes are', () => {
    const check = (frame: DirectoryFrame, bytes: Uint8Array): void =>
      expect(encodeDirectoryFrame(frame)).toEqual(bytes);
    fuzz(decodeDirectoryFrame, check, frames.map(encodeDirectoryFrame));
  });
});
