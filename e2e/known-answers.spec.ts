/** The demo model over real links answers what its README says one process answers: 340 of 340 questions, exactly. */
import { readFile } from 'node:fs/promises';
import { expect, test } from '@playwright/test';
import { createPeer, type RelayInfo } from '@unfed/client/node';
import { manifestHash } from '@unfed/protocol';
import { startPagePool } from './pool-page.ts';

interface Question {
  readonly question: string;
  readonly answer: string;
}

test('two volunteers over WebRTC give every exact answer of questions.json', async () => {
  test.setTimeout(300_000);
  const questions = JSON.parse(await readFile('models/demo/questions.json', 'utf8')) as Question[];
  const pool = await startPagePool([{ layers: '0-4' }, { layers: '4-8' }]);
  const relay = (await (await fetch(`${pool.url}/relay.json`)).json()) as RelayInfo;
  const peer = await createPeer({ relay, modelsUrl: `${pool.url}/models` });
  try {
    const chat = await peer.openChat(manifestHash(relay.models[0].manifest));
    const wrong: string[] = [];
    for (const { question, answer } of questions) {
      let text = '';
      for await (const event of chat.answer([{ role: 'user', content: question }])) {
        if (event.kind === 'text') text += event.delta;
      }
      if (text !== answer) wrong.push(`${question} → ${text}, not ${answer}`);
    }
    expect(wrong).toEqual([]);
    expect(questions).toHaveLength(340);
    const others = peer.network.connections.filter(({ isRelay }) => !isRelay);
    expect(others.map(({ transport }) => transport)).toEqual(['webrtc-direct', 'webrtc-direct']);
  } finally {
    await peer.stop();
    await pool.stop();
  }
});
