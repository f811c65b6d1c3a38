/** Arbitrary bytes for the fuzz tests of decoders: noise, and valid bytes that were damaged a little. */
import fc from 'fast-check';

/** Noise of up to `bytesMax` bytes. */
export function arbitraryBytes(bytesMax = 512): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ maxLength: bytesMax });
}

type Damage =
  | { readonly kind: 'flip'; readonly at: number; readonly mask: number }
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: 'remove'; readonly at: number; readonly count: number }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array };

const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at: place, mask: fc.integer({ min: 1, max: 255 }) }),
  fc.record({ kind: fc.constant('cut' as const), at: place }),
  fc.record({ kind: fc.constant('remove' as const), at: place, count: fc.integer({ min: 1, max: 8 }) }),
  fc.record({ kind: fc.constant('insert' as const), at: place, bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }) }),
);

/** `valid` with up to four bytes flipped, cut off, taken out or put in: gets further into a decoder than noise does. */
export function mutated(valid: Uint8Array): fc.Arbitrary<Uint8Array> {
  return fc.array(damage, { minLength: 1, maxLength: 4 }).map((damages) => damages.reduce(applyDamage, valid.slice()));
}

function applyDamage(bytes: Uint8Array, damaged: Damage): Uint8Array {
  const at = Math.floor(damaged.at * bytes.length);
  switch (damaged.kind) {
    case 'flip': {
      const flipped = bytes.slice();
      flipped[at] = (flipped[at] ?? 0) ^ damaged.mask;
      return flipped;
    }
    case 'cut':
      return bytes.slice(0, at);
    case 'remove':
      return joined(bytes.subarray(0, at), bytes.subarray(at + damaged.count));
    case 'insert':
      return joined(bytes.subarray(0, at), damaged.bytes, bytes.subarray(at));
  }
}

function joined(...parts: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}
