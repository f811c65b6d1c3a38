/** Random bytes that are the same in every run with one seed. */
import { seededRandom } from '@unfed/testing';
import type { RandomBytes } from './bytes.ts';

export function seededBytes(seed: number): RandomBytes {
  const random = seededRandom(seed);
  return (length) => Uint8Array.from({ length }, () => Math.floor(random() * 256));
}
