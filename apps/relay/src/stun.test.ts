import { arbitraryBytes, mutated } from '@unfed/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBindingRequest, encodeBindingAnswer } from './stun.ts';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'));
const hex = (of: Uint8Array): string => Buffer.from(of).toString('hex');

/** RFC 5769, 2.1: a request with credentials, ICE attributes and a fingerprint. */
const sampleRequest = bytes(`
  00010058 2112a442 b7e7a701 bc34d686 fa87dfae 80220010 5354554e 20746573 7420636c 69656e74
  00240004 6e0001ff 80290008 932ff9b1 51263b36 00060009 6576746a 3a683676 59202020
  00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2 80280004 e57a3bcf`);
const transaction = '2112a442b7e7a701bc34d686fa87dfae';
/** A request with nothing in it, as browsers send it. */
const plainRequest = bytes(`00010000 ${transaction}`);

const ipv6 = fc.ipV6().filter((address) => !address.includes('.'));

describe('STUN (RFC 8489)', () => {
  it('reads the sample request of RFC 5769, fingerprint included', () => {
    expect(decodeBindingRequest(sampleRequest)).toEqual({
      transaction: bytes(transaction),
      fingerprint: true,
      unknown: [],
    });
  });

  it('answers with the addresses of RFC 5769, XORed', () => {
    const request = { transaction: bytes(transaction), fingerprint: false, unknown: [] };
    expect(hex(encodeBindingAnswer(request, { address: '192.0.2.1', port: 32_853 }))).toBe(
      `0101000c${transaction}002000080001a147e112a643`,
    );
    const address = '2001:db8:1234:5678:11:2233:4455:6677';
    expect(hex(encodeBindingAnswer(request, { address, port: 32_853 }))).toBe(
      `01010018${transaction}002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9`,
    );
  });

  it('takes an IPv4 address in IPv6 form for IPv4, and no zone', () => {
    const request = { transaction: bytes(transaction), fingerprint: false, unknown: [] };
    const plain = encodeBindingAnswer(request, { address: '192.0.2.1', port: 1 });
    expect(encodeBindingAnswer(request, { address: '::ffff:192.0.2.1', port: 1 })).toEqual(plain);
    const local = encodeBindingAnswer(request, { address: 'fe80::1', port: 1 });
    expect(encodeBindingAnswer(request, { address: 'fe80::1%eth0', port: 1 })).toEqual(local);
  });

  it('gives every address and port back to who XORs them again', () => {
    const id = fc.uint8Array({ minLength: 12, maxLength: 12 });
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), ipv6), fc.integer({ min: 0, max: 65_535 }), id, (address, port, number) => {
        const key = Uint8Array.from([0x21, 0x12, 0xa4, 0x42, ...number]);
        const answer = encodeBindingAnswer({ transaction: key, fingerprint: true, unknown: [] }, { address, port });
        const value = answer.subarray(24, 24 + new DataView(answer.buffer).getUint16(22));
        expect(((value[2] ?? 0) << 8) + (value[3] ?? 0)).toBe(port ^ 0x2112);
        const plain = [...value.subarray(4)].map((byte, i) => byte ^ (key[i] ?? 0));
        const groups = Array.from({ length: 8 }, (_, i) =>
          (((plain[2 * i] ?? 0) << 8) + (plain[2 * i + 1] ?? 0)).toString(16),
        );
        const text = plain.length === 4 ? plain.join('.') : new URL(`http://[${groups.join(':')}]`).hostname;
        expect(text).toBe(address.includes(':') ? new URL(`http://[${address}]`).hostname : address);
      }),
    );
  });

  it('puts a fingerprint on the answer to a request that has one, and it is right', () => {
    const request = { transaction: bytes(transaction), fingerprint: true, unknown: [] };
    const answer = encodeBindingAnswer(request, { address: '192.0.2.1', port: 32_853 });
    const asRequest = answer.slice();
    asRequest.set([0, 1]);
    expect(answer.length).toBe(40);
    // The fingerprint covers the type too, so as a request it is wrong, and nothing else is.
    expect(decodeBindingRequest(asRequest)).toBeUndefined();
    expect(hex(answer.subarray(32, 36))).toBe('80280004');
  });

  it('drops a request with a wrong fingerprint, and one with anything after it', () => {
    const wrong = sampleRequest.slice();
    wrong[50] = (wrong[50] ?? 0) ^ 1;
    expect(decodeBindingRequest(wrong)).toBeUndefined();
    const longer = bytes(`${hex(sampleRequest)} 80220000`);
    longer[3] = 0x5c;
    expect(decodeBindingRequest(longer)).toBeUndefined();
  });

  it('names attributes that it would have to understand: error 420', () => {
    const request = decodeBindingRequest(bytes(`00010008 ${transaction} 00030004 00000006`));
    expect(request?.unknown).toEqual([3]);
    const answer = encodeBindingAnswer(request as NonNullable<typeof request>, { address: '192.0.2.1', port: 1 });
    expect(hex(answer.subarray(0, 2))).toBe('0111');
    expect(hex(answer)).toContain('00000414');
    expect(hex(answer)).toMatch(/000a000200030000$/);
  });

  it('reads nothing else: other methods, responses, indications, other lengths, no cookie', () => {
    for (const other of [
      `01010000 ${transaction}`,
      `00110000 ${transaction}`,
      `00030000 ${transaction}`,
      `00010004 ${transaction}`,
      `00010000 ${transaction} 00000000`,
      `00010000 2112a443 b7e7a701 bc34d686 fa87dfae`,
      `00010004 ${transaction} 80220004`,
      '',
    ]) {
      expect(decodeBindingRequest(bytes(other)), other).toBeUndefined();
    }
  });

  it('never throws, whatever comes, and answers little', () => {
    fc.assert(
      fc.property(fc.oneof(arbitraryBytes(600), mutated(sampleRequest), mutated(plainRequest)), (noise) => {
        const request = decodeBindingRequest(noise);
        if (request === undefined) return;
        const answer = encodeBindingAnswer(request, { address: '2001:db8::1', port: 9 });
        expect(answer.length).toBeLessThanOrEqual(noise.length + 52);
        expect(answer.length % 4).toBe(0);
      }),
      { numRuns: 2000 },
    );
  });
});
