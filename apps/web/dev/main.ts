/**
 * The page over a scripted peer, to look at every state of it without a network: `npx vite`, then `/dev/index.html`.
 * `?script=` names a state (scripts.ts). Not part of the page that is built.
 */
import '../src/styles/tokens.css';
import '../src/styles/base.css';
import { mount } from 'svelte';
import App from '../src/App.svelte';
import { createPage } from '../src/create-page.ts';
import { FakePeer, relayInfo } from './fake-peer.ts';
import { scriptNamed } from './scripts.ts';

const target = document.getElementById('page');
if (target !== null) {
  const script = scriptNamed(new URLSearchParams(location.search).get('script') ?? 'whole');
  const page = createPage(location);
  mount(App, { target, props: { page } });
  const parts = {
    relayInfo: async (onFailure: (error: string, nextTryMs: number) => void) => {
      if (script.relayFails === undefined) return relayInfo;
      onFailure(script.relayFails, Date.now() + 8000);
      return new Promise<never>(() => undefined);
    },
    createPeer: async () => new FakePeer(script),
  };
  void page.connection.start(parts, new AbortController().signal);
}
