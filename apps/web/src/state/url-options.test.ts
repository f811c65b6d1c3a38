import { describe, expect, it } from 'vitest';
import { readUrlOptions } from './url-options.ts';

describe('readUrlOptions', () => {
  it('reads the tab, the backend and the layers to serve', () => {
    expect(readUrlOptions('?tab=donate&backend=wasm&donate=0-2')).toEqual({
      tab: 'donate',
      backend: 'wasm',
      donate: { first: 0, last: 2 },
    });
  });

  it('ignores what does not fit', () => {
    const nothing = { tab: 'chat', backend: undefined, donate: undefined };
    expect(readUrlOptions('')).toEqual(nothing);
    for (const donate of ['2-2', '3-1', '-1', 'a-b', '0-99999', '1']) {
      expect(readUrlOptions(`?tab=admin&backend=node-cpu&donate=${donate}`)).toEqual(nothing);
    }
  });
});
