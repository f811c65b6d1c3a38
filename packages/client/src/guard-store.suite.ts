/** What every store of guards must do. */
import { describe, expect, it } from 'vitest';
import type { GuardStore } from './guard-store.ts';

/** @param open the same store at every call, as after a reload */
export function guardStoreSuite(name: string, open: () => GuardStore): void {
  describe(name, () => {
    it('holds nothing at first, and then what was written last', () => {
      expect(open().read()).toBeUndefined();
      for (const text of ['one', '{"two": 2}', '']) {
        open().write(text);
        expect(open().read()).toBe(text);
      }
    });
  });
}
