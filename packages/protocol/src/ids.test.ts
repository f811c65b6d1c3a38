import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as ids from './ids.ts';

const invalid = expect.objectContaining({ code: 'invalid-value' });

describe('ids', () => {
  it('N2, N3: take lowercase hex digits of their length alone', () => {
    const [hash, session] = ['0a'.repeat(32), '0a'.repeat(16)];
    expect([ids.manifestHash(hash), ids.sessionId(session)]).toEqual([hash, session]);
    for (const text of ['', hash.toUpperCase(), `${hash}0`, hash.slice(1), `${hash}\n`, 'g'.repeat(64)]) {
      expect(() => ids.manifestHash(text), text).toThrow(invalid);
      expect(() => ids.sessionId(text.slice(32)), text).toThrow(invalid);
    }
  });

  it('N3: are new each time', () => {
    const [a, b] = [ids.randomSessionId(), ids.randomSessionId()];
    expect(ids.sessionId(a)).not.toBe(ids.sessionId(b));
  });

  it('N4: name the shards of a span in order', () => {
    expect(ids.spanShards({ first: 2, last: 4 })).toEqual(['layer-2', 'layer-3']);
    for (const layer of [-1, 1.5, Number.NaN]) expect(() => ids.layerShard(layer)).toThrow(invalid);
  });

  it('say layers as people do', () => {
    expect([ids.spanText({ first: 4, last: 6 }), ids.spanText({ first: 4, last: 5 })]).toEqual(['4–5', '4']);
  });
});

describe('hex', () => {
  it('gives back the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => void expect(ids.hexToBytes(ids.bytesToHex(bytes))).toEqual(bytes)),
    );
    expect(ids.bytesToHex(Uint8Array.of(0, 255, 16))).toBe('00ff10');
  });

  it('refuses what is none', () => {
    for (const text of ['0', '0G', 'FF', '0x00', ' 00']) expect(() => ids.hexToBytes(text), text).toThrow(invalid);
  });
});
