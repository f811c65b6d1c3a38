/** What the build defines, and what the page exposes. */
import type { Peer } from '@unfed/client';

declare global {
  /** Sizes of the inference runtimes, uncompressed; set by vite.config.ts. */
  const __RUNTIME_BYTES__: { readonly webgpu: number; readonly wasm: number };

  interface Window {
    /** A developer's door, also used by the tests: the running peer. */
    unfed?: { readonly peer: Peer };
  }
}
