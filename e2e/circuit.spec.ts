/** Circuits over real links: a guard, a forwarder and two stages, each a peer of its own, and a Node peer that asks. */
import { expect, test } from '@playwright/test';
import { createPeer, type RelayInfo } from '@unfed/client/node';
import { manifestHash } from '@unfed/protocol';
import { startPagePool } from './pool-page.ts';

test('conversations by circuits are answered, each under an identity of its own, and the volunteer’s is linked to nobody', async () => {
  test.setTimeout(180_000);
  const pool = await startPagePool([{ layers: '0-4' }, { layers: '4-8' }]);
  const relay = (await (await fetch(`${pool.url}/relay.json`)).json()) as RelayInfo;
  const peer = await createPeer({ relay, modelsUrl: `${pool.url}/models`, route: 'circuit' });
  try {
    const chat = await peer.openChat(manifestHash(relay.models[0].manifest));
    for (let conversation = 0; conversation < 3; conversation++) {
      let text = '';
      let stages = 0;
      for await (const event of chat.answer([{ role: 'user', content: 'What is 7 plus 5?' }])) {
        if (event.kind === 'text') text += event.delta;
        if (event.kind === 'route') stages = event.hops.length;
      }
      expect(text).toBe('7 plus 5 is 12.');
      expect(stages).toBe(2);
      chat.renew();
    }
    expect(peer.network.connections.filter(({ isRelay }) => !isRelay)).toEqual([]);
    expect(peer.network.guards).toHaveLength(3);
    expect(peer.network.local).toBe(true);
  } finally {
    await peer.stop();
    await pool.stop();
  }
});
