import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CircuitKeys } from './circuit-keys.ts';
import { circuitKeys } from './circuit-keys.ts';
import { CircuitError } from './errors.ts';
import { ClientLayers, HopLayers, joinedCommand, relayCommand } from './layer.ts';
import * as limits from './limits.ts';
import { LayerKey } from './seal.ts';
import { seededBytes } from './seeded-random.fixture.ts';

interface Path {
  readonly client: ClientLayers;
  readonly hops: readonly HopLayers[];
  readonly keys: readonly CircuitKeys[];
}

/** Keys of hop i are the same for every length of path. */
function pathOf(length: number, seed = 1): Path {
  const client = new ClientLayers(seededBytes(seed));
  const keys = Array.from({ length }, (_, i) => circuitKeys(seededBytes(1000 * seed + i)));
  for (const each of keys) client.add(each);
  return { client, keys, hops: keys.map((each) => new HopLayers(each)) };
}

/** @returns what each hop received, and what the last one read */
function travel({ hops }: Path, body: Uint8Array): { received: Uint8Array[]; reader: number; plaintext: Uint8Array } {
  const received: Uint8Array[] = [];
  for (const [reader, hop] of hops.entries()) {
    received.push(body);
    const peeled = hop.peel(body);
    if ('plaintext' in peeled) return { received, reader, plaintext: peeled.plaintext };
    body = peeled.next;
  }
  throw new Error('nobody read it');
}

/** From hop `from` back to the client. */
function travelBack({ hops }: Path, from: number, body: Uint8Array): Uint8Array[] {
  const sent = [body];
  for (const hop of hops.slice(0, from).reverse()) sent.push((body = hop.passBack(body, relayCommand)));
  return sent;
}

const content = (seed: number, length: number): Uint8Array => {
  const bytes = seededBytes(seed)(length);
  bytes[0] = 5;
  return bytes;
};

const anyPath = fc.integer({ min: 1, max: limits.hopsMax });
const bodyPlace = fc.nat(limits.bodyBytes * 8 - 1);

function flipped(body: Uint8Array, bit: number): Uint8Array {
  const changed = body.slice();
  changed[bit >> 3] ^= 1 << (bit & 7);
  return changed;
}

describe('layers, forward (C5, C6)', () => {
  it('peel inverts wrap: the hop that is meant reads what was written, for every length of path', () => {
    fc.assert(
      fc.property(anyPath, fc.array(fc.nat(), { minLength: 1, maxLength: 6 }), fc.nat(3000), (length, picks, bytes) => {
        const path = pathOf(length);
        for (const pick of picks) {
          const target = pick % length;
          const written = content(pick, 1 + bytes);
          const { received, reader, plaintext } = travel(path, path.client.wrap(target, written));
          expect(reader).toBe(target);
          expect(plaintext.subarray(0, written.length)).toEqual(written);
          expect(new Set(received.map((body) => body.length))).toEqual(new Set([limits.bodyBytes]));
        }
      }),
      { numRuns: 40 },
    );
  });

  it('every bit that is flipped on the way is found by the next hop', () => {
    fc.assert(
      fc.property(anyPath, bodyPlace, fc.nat(), (length, bit, pick) => {
        const path = pathOf(length);
        const at = pick % length;
        let body: Uint8Array = path.client.wrap(length - 1, content(pick, 100));
        for (const hop of path.hops.slice(0, at)) body = (hop.peel(body) as { next: Uint8Array }).next;
        expect(() => path.hops[at].peel(flipped(body, bit))).toThrow(CircuitError);
      }),
      { numRuns: 60 },
    );
  });

  it('a cell that is repeated, lost or out of order is found by the next hop', () => {
    const path = pathOf(3);
    const [first, second, third] = [1, 2, 3].map((seed) => path.client.wrap(2, content(seed, 50)));
    expect(() => path.hops[0].peel(second)).toThrow(/out of order/);
    const once = path.hops[0].peel(first) as { next: Uint8Array };
    expect(() => path.hops[0].peel(first)).toThrow(CircuitError);
    path.hops[0].peel(second);
    const after = path.hops[0].peel(third) as { next: Uint8Array };
    path.hops[1].peel(once.next);
    expect(() => path.hops[1].peel(after.next)).toThrow(CircuitError);
  });

  it('what a hop receives does not depend on the path behind whom it is for', () => {
    for (const target of [0, 1, 2, 5]) {
      const seen = [target + 1, target + 2, limits.hopsMax].map((length) => {
        const path = pathOf(length);
        return travel(path, path.client.wrap(target, content(9, 40))).received;
      });
      expect(seen[1]).toEqual(seen[0]);
      expect(seen[2]).toEqual(seen[0]);
    }
  });

  it('nothing in what a hop receives or reads marks its place: all of it looks random, wherever the fillers begin', () => {
    const counts = new Map<string, Uint32Array>();
    const count = (name: string, bytes: Uint8Array): void => {
      const bins = counts.get(name) ?? new Uint32Array(256);
      for (const byte of bytes) bins[byte]++;
      counts.set(name, bins);
    };
    for (const length of [1, 2, 5, limits.hopsMax]) {
      const path = pathOf(length);
      for (let i = 0; i < 4; i++) {
        const written = content(i, 40);
        const { received, plaintext } = travel(path, path.client.wrap(length - 1, written));
        for (const [hop, body] of received.entries()) count(`${hop} of ${length}, start`, body.subarray(0, 2048));
        for (const [hop, body] of received.entries()) count(`${hop} of ${length}, end`, body.subarray(-2048));
        count(`read by ${length - 1}, end`, plaintext.subarray(-2048));
      }
    }
    // Chi-squared of 255 degrees of freedom: above 400 once in 10^8.
    for (const [name, bins] of counts) {
      const expected = bins.reduce((a, b) => a + b, 0) / 256;
      const chi = bins.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
      expect(chi, name).toBeLessThan(400);
    }
  });

  it('the same seed gives the same cells', () => {
    const run = (): Uint8Array[] => [0, 3, 1].map((target) => pathOf(4).client.wrap(target, content(target, 90)));
    expect(run()).toEqual(run());
  });

  it('control cells fit behind 15 hops and data behind 3, and one byte more is refused', () => {
    const longest = pathOf(limits.hopsMax);
    expect(() => longest.client.wrap(limits.hopsMax - 1, content(1, 3 + limits.controlBytesMax))).not.toThrow();
    expect(() => longest.client.wrap(limits.hopsMax - 1, content(1, 4 + limits.controlBytesMax))).toThrow(CircuitError);
    const data = pathOf(limits.dataLayersMax);
    expect(() => data.client.wrap(limits.dataLayersMax - 1, content(1, 1 + limits.dataCellBytes))).not.toThrow();
    expect(() => data.client.wrap(limits.dataLayersMax - 1, content(1, 2 + limits.dataCellBytes))).toThrow(
      CircuitError,
    );
    expect(() => data.client.wrap(limits.dataLayersMax, content(1, 1))).toThrow(CircuitError);
  });
});

describe('layers, backward (C7)', () => {
  it('unwrap inverts what the hops wrapped, for every length of path and every hop that speaks', () => {
    fc.assert(
      fc.property(anyPath, fc.array(fc.nat(), { minLength: 1, maxLength: 6 }), fc.nat(3000), (length, picks, bytes) => {
        const path = pathOf(length);
        for (const pick of picks) {
          const from = pick % length;
          const written = content(pick, 1 + bytes);
          const sent = travelBack(path, from, path.hops[from].originate(written));
          const { origin, plaintext } = path.client.unwrap(sent[sent.length - 1]);
          expect(origin).toBe(from);
          expect(plaintext.subarray(0, written.length)).toEqual(written);
          expect(plaintext.subarray(written.length).every((byte) => byte === 0)).toBe(true);
          expect(new Set(sent.map((body) => body.length))).toEqual(new Set([limits.bodyBytes]));
        }
      }),
      { numRuns: 40 },
    );
  });

  it('results that join at the last forwarder are known by their own key', () => {
    for (const forwarders of [1, 2, 3]) {
      const path = pathOf(forwarders + 2);
      const result = new LayerKey(path.keys[forwarders + 1].result);
      path.client.expectResults(forwarders - 1, path.keys[forwarders + 1].result);
      for (let i = 0; i < 3; i++) {
        const plaintext = new Uint8Array(limits.plaintextBytes);
        plaintext.set(content(i, 1 + limits.dataCellBytes));
        const joined = path.hops[forwarders - 1].passBack(result.seal(plaintext), joinedCommand);
        const came = travelBack(path, forwarders - 1, joined);
        expect(path.client.unwrap(came[came.length - 1])).toEqual({ origin: 'rendezvous', plaintext });
      }
    }
  });

  it('every bit that is flipped on the way is found by the client, who ends the circuit', () => {
    fc.assert(
      fc.property(anyPath, bodyPlace, fc.nat(), (length, bit, pick) => {
        const path = pathOf(length);
        const from = pick % length;
        const at = pick % (from + 1);
        let body: Uint8Array = path.hops[from].originate(content(pick, 100));
        for (let hop = from; hop >= 0; hop--) {
          if (hop === at) body = flipped(body, bit);
          if (hop > 0) body = path.hops[hop - 1].passBack(body, relayCommand);
        }
        // The last 17 bytes of a body are dropped by who passes it on: to change them changes nothing.
        const dropped = at > 0 && bit >= (limits.bodyBytes - limits.layerBytes) * 8;
        if (dropped) expect(path.client.unwrap(body).origin).toBe(from);
        else expect(() => path.client.unwrap(body)).toThrow(CircuitError);
      }),
      { numRuns: 60 },
    );
  });

  it('a cell that is repeated or lost is found by the client', () => {
    const path = pathOf(2);
    const cell = (): Uint8Array => travelBack(path, 1, path.hops[1].originate(content(1, 50)))[1];
    const [first, second, third] = [cell(), cell(), cell()];
    path.client.unwrap(first);
    expect(() => path.client.unwrap(first)).toThrow(CircuitError);
    path.client.unwrap(second);
    expect(path.client.unwrap(third).origin).toBe(1);
  });

  it('noise, and a join that nobody asked for, never open', () => {
    const path = pathOf(3);
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        expect(() => path.client.unwrap(seededBytes(seed)(limits.bodyBytes))).toThrow(CircuitError);
      }),
      { numRuns: 30 },
    );
    const joined = path.hops[0].passBack(seededBytes(1)(limits.bodyBytes), joinedCommand);
    expect(() => path.client.unwrap(joined)).toThrow(CircuitError);
    expect(() => new ClientLayers(seededBytes(1)).unwrap(joined)).toThrow(CircuitError);
  });

  it('no two links carry the same bytes', () => {
    const path = pathOf(4);
    const { received } = travel(path, path.client.wrap(3, content(1, 100)));
    const sent = travelBack(path, 3, path.hops[3].originate(content(1, 100)));
    const halves = [...received, ...sent].map((body) => body.subarray(0, 64).join());
    expect(new Set(halves).size).toBe(halves.length);
  });
});
