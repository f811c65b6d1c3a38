/** What every fuzz test of a decoder demands: a value, or a typed error of the protocol. */
import { arbitraryBytes, mutated } from '@unfed/testing';
import fc from 'fast-check';
import { UnfedError } from './errors.ts';

/** @param check sees what was decoded. @param valid whole encodings to damage; noise comes beside them */
export function fuzz<T>(
  decode: (bytes: Uint8Array) => T,
  check: (value: T, bytes: Uint8Array) => void,
  valid: readonly Uint8Array[],
): void {
  const bytes = fc.oneof(arbitraryBytes(300), ...valid.map((each) => mutated(each)));
  fc.assert(
    fc.property(bytes, (noise) => {
      const before = noise.slice();
      let value: T;
      try {
        value = decode(noise);
      } catch (error) {
        if (!(error instanceof UnfedError)) throw error;
        return;
      }
      check(value, before);
    }),
    { numRuns: 3000 },
  );
}
