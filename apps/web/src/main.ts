/** Starts the page: it is drawn first, the network comes after. */
import './styles/tokens.css';
import './styles/base.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { createPage } from './create-page.ts';
import { startNetwork } from './start-network.ts';

const target = document.getElementById('page');
if (target !== null) {
  const page = createPage(location);
  mount(App, { target, props: { page } });
  // After the first paint; not an animation frame, which hidden tabs never get.
  setTimeout(() => void startNetwork(page, new AbortController().signal), 0);
}
