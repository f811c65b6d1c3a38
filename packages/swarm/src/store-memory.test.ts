import { describe, it } from 'vitest';
import { memoryStore } from './store-memory.ts';
import { chunkStoreSuite } from './store.suite.ts';

describe('memory store', () => {
  for (const { name, persistent, run } of chunkStoreSuite) {
    if (persistent === true) continue;
    it(name, () => run({ open: async (options) => memoryStore(options) }));
  }
});
