/** What the page offers to developers, as the demo and the browser tests see it. */
import type { Peer } from '@unfed/client';

declare global {
  interface Window {
    /** The page's peer, once it is there. */
    unfed?: { readonly peer: Peer };
    /** The demo's ear in the page. */
    unfedDemoText?: (text: string) => Promise<void>;
  }
}
