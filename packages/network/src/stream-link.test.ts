import { streamPair } from '@libp2p/utils';
import type { Stream } from '@libp2p/interface';
import { limits as protocolLimits, randomIdentity, swarmProtocol, type LinkError } from '@unfed/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import './polyfills.node.ts';
import { encodeCredit, encodeMessages } from './frame-codec.ts';
import { linkWindowBytes } from './limits.ts';
import { StreamLink } from './stream-link.ts';

const [self, other] = [randomIdentity().peer, randomIdentity().peer];

function linkOn(stream: Stream, protocol = '/unfed/test/1'): StreamLink {
  return new StreamLink({ stream, peer: other, protocol, relayed: false, openedBy: self });
}

async function withRawEnd(): Promise<{ link: StreamLink; raw: Stream }> {
  const [near, raw] = await streamPair();
  return { link: linkOn(near), raw };
}

const codeOf = (error: unknown): string => (error as LinkError).code;

describe('a link over a stream', () => {
  it('L1: counts as welcomed with the first credit, and not before', async () => {
    const { link, raw } = await withRawEnd();
    raw.send(encodeCredit(1));
    await link.welcomed;
    const refused = await withRawEnd();
    refused.raw.abort(new Error('crossed'));
    await expect(refused.link.welcomed).rejects.toMatchObject({ code: 'link-peer-left' });
  });

  it('F4: gives its stream messages of at most 4,080 bytes, and whole frames for bulk', async () => {
    const longest = async (protocol: string): Promise<number> => {
      const [near, raw] = await streamPair();
      const sizes: number[] = [];
      const send = near.send.bind(near);
      near.send = (bytes) => {
        sizes.push(bytes.byteLength);
        return send(bytes);
      };
      raw.send(encodeCredit(linkWindowBytes));
      await linkOn(near, protocol).send(new Uint8Array(60_000));
      return Math.max(...sizes);
    };
    expect(await longest('/unfed/stage/1')).toBe(4080);
    expect(await longest(swarmProtocol)).toBe(60_004);
  });

  it('F5: takes frames of the swarm of 64 KiB and 16 bytes at most', async () => {
    const [near] = await streamPair();
    const link = linkOn(near, swarmProtocol);
    await expect(link.send(new Uint8Array((64 << 10) + 17))).rejects.toMatchObject({ code: 'link-frame-too-long' });
  });

  it('F5: ends with a typed error when a length is over the limit', async () => {
    const { link, raw } = await withRawEnd();
    const header = new Uint8Array(4);
    new DataView(header.buffer).setUint32(0, protocolLimits.frameBytesMax + 1, true);
    raw.send(header);
    expect(codeOf(await link.closed)).toBe('link-frame-too-long');
  });

  it('F6: ends with a typed error when the other end sends more than it was granted', async () => {
    const { link, raw } = await withRawEnd();
    link.onFrame(() => new Promise(() => undefined));
    const frame = new Uint8Array(1 << 20);
    for (let sent = 0; sent <= linkWindowBytes; sent += frame.byteLength) {
      for (const part of [...encodeMessages(frame, 1 << 16)].flat()) raw.send(part);
    }
    expect(codeOf(await link.closed)).toBe('link-queue-full');
  });

  it('F7: tells an orderly end from a lost one', async () => {
    const orderly = (await streamPair()).map((stream) => linkOn(stream)) as [StreamLink, StreamLink];
    orderly[0].close();
    expect(await Promise.all(orderly.map(({ closed }) => closed))).toEqual([undefined, undefined]);
    const { link, raw } = await withRawEnd();
    await raw.close();
    expect(codeOf(await link.closed)).toBe('link-peer-left');
  });

  it('F7: what was sent before a close still arrives, and then the end', async () => {
    const [near, far] = (await streamPair()).map((stream) => linkOn(stream)) as [StreamLink, StreamLink];
    await Promise.all([near.welcomed, far.welcomed]);
    const came: number[] = [];
    for (let i = 0; i < 5; i++) await near.send(Uint8Array.of(i));
    near.close();
    far.onFrame(async (frame) => {
      await Promise.resolve();
      came.push(frame[0] ?? -1);
    });
    expect(await far.closed).toBeUndefined();
    expect(came).toEqual([0, 1, 2, 3, 4]);
  });

  it('ends with the error of a handler that fails', async () => {
    const [near, far] = (await streamPair()).map((stream) => linkOn(stream)) as [StreamLink, StreamLink];
    await near.welcomed;
    far.onFrame(() => {
      throw new Error('cannot read this');
    });
    await near.send(Uint8Array.of(1));
    const error = await far.closed;
    expect(codeOf(error)).toBe('link-closed');
    expect(error?.message).toContain('cannot read this');
  });

  it('whatever the other end sends, gives frames, or ends with a typed error', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 6 }), async (pieces) => {
        const { link, raw } = await withRawEnd();
        link.onFrame(() => undefined);
        for (const piece of pieces) if (raw.status === 'open') raw.send(piece);
        raw.abort(new Error('over'));
        const error = await link.closed;
        expect(['link-frame-too-long', 'link-queue-full', 'link-peer-left', undefined]).toContain(error?.code);
      }),
      { numRuns: 100 },
    );
  });
});
