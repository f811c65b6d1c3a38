import { describe, expect, it } from 'vitest';
import { readUrlOptions } from './url-options.ts';

const read = (search: string, hostname = 'localhost') => readUrlOptions({ search, hostname });

describe('readUrlOptions', () => {
  it('reads the tab, the backend and the layers to serve', () => {
    expect(read('?tab=donate&backend=wasm&donate=0-2')).toEqual({
      tab: 'donate',
      backend: 'wasm',
      donate: { first: 0, last: 2 },
    });
  });

  it('ignores what does not fit', () => {
    const nothing = { tab: 'chat', backend: undefined, donate: undefined };
    expect(read('')).toEqual(nothing);
    for (const donate of ['2-2', '3-1', '-1', 'a-b', '0-99999', '1']) {
      expect(read(`?tab=admin&backend=node-cpu&donate=${donate}`)).toEqual(nothing);
    }
  });

  it('a link starts donating on this machine and in private networks alone', () => {
    for (const hostname of ['localhost', '127.0.0.1', '[::1]', '10.77.0.1', '192.168.1.2', '172.20.0.1']) {
      expect(read('?donate=0-2', hostname).donate).toEqual({ first: 0, last: 2 });
    }
    for (const hostname of ['unfed.example.org', '10.example.org', '8.8.8.8', '172.32.0.1', 'localhost.example.org']) {
      expect(read('?donate=0-2', hostname).donate).toBeUndefined();
    }
  });
});
