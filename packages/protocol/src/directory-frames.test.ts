import { describe, expect, it } from 'vitest';
import { encodeCbor } from './cbor.ts';
import { decodeDirectoryFrame, encodeDirectoryFrame, type DirectoryFrame } from './directory-frames.ts';
import { fuzz } from './fuzzing.fixture.ts';
import * as limits from './limits.ts';
import { identityFromSeed } from './peer-id.ts';

const { peer } = identityFromSeed(new Uint8Array(32).fill(1));
const announcement = Uint8Array.of(1, 2, 3);
const listed = { announcement, networkGroup: new Uint8Array(16).fill(7), listedMs: 1234 };
const frames: DirectoryFrame[] = [
  { kind: 'announce', announcement },
  { kind: 'withdraw' },
  { kind: 'follow' },
  {
    kind: 'changed',
    whole: true,
    added: [listed, { ...listed, announcement: new Uint8Array(4096), listedMs: 0 }],
    removed: [peer],
  },
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
    const many = Array.from({ length: limits.directoryAnnouncementsMax + 1 }, () => listed);
    refused(encodeCbor({ ...changed, added: [{ ...listed, announcement: long }] }));
    refused(encodeCbor({ ...changed, added: many }));
    refused(encodeCbor({ ...changed, removed: many.map(() => peer) }));
    refused(encodeCbor({ ...changed, removed: ['nobody'] }));
    refused(encodeCbor({ ...changed, whole: 1 }));
  });

  it('D5: refuse a listing without the relay’s word, and words outside their limits', () => {
    const changed = { kind: 'changed', whole: false, removed: [] };
    const { networkGroup, listedMs } = listed;
    for (const added of [
      announcement,
      { announcement, networkGroup },
      { announcement, listedMs },
      { ...listed, networkGroup: null },
      { ...listed, networkGroup: new Uint8Array(15) },
      { ...listed, listedMs: -1 },
      { ...listed, listedMs: 0.5 },
      { ...listed, operator: 'somebody' },
    ]) {
      refused(encodeCbor({ ...changed, added: [added] }));
    }
    expect(decodeDirectoryFrame(encodeCbor({ ...changed, added: [listed] }))).toEqual({ ...changed, added: [listed] });
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
