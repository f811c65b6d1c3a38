/** The main job in real tabs: a chat answered by a model that is spread over other tabs, over WebRTC. */
import { expect, test, type Page } from '@playwright/test';
import type { Peer } from '@unfed/client';
import type { LocalPool } from '../scripts/local-pool.ts';
import { answerOf, ask, connectionsOf, peerIdOf, poolIsWhole, startPagePool, Tabs } from './pool-page.ts';

let pool: LocalPool;
let tabs: Tabs;

test.beforeAll(async () => {
  test.setTimeout(180_000);
  pool = await startPagePool();
});
test.afterAll(() => pool.stop());
test.beforeEach(({ browser }) => {
  tabs = new Tabs(browser, pool);
});
test.afterEach(() => tabs.close());

/** This tab has a WebRTC connection to each of these peers, and none through the relay once introductions are over. */
async function expectDirectLinks(page: Page, peers: readonly Page[]): Promise<void> {
  const ids = await Promise.all(peers.map(peerIdOf));
  const ofWebRtc = (await connectionsOf(page)).filter(({ transport }) => transport === 'webrtc');
  for (const id of ids) expect(ofWebRtc.map(({ peer }) => peer)).toContain(id);
  const relayed = async () => (await connectionsOf(page)).filter(({ transport }) => transport === 'relayed');
  await expect.poll(relayed).toEqual([]);
}

test('three volunteer tabs on WebGPU with different spans answer a fourth, over WebRTC, not through the relay', async () => {
  test.setTimeout(400_000);
  const volunteers = [
    await tabs.volunteer('0-3', 'webgpu'),
    await tabs.volunteer('3-6', 'webgpu'),
    await tabs.volunteer('6-8', 'webgpu'),
  ];
  const chat = await tabs.open('?backend=wasm');
  await poolIsWhole(chat);
  await ask(chat, 'What is the capital of France?');
  expect(await answerOf(chat)).toBe('The capital of France is Paris.');
  await expect(chat.getByTestId('route')).toHaveAttribute('data-stages', '3');
  await expectDirectLinks(chat, volunteers);
  await expectDirectLinks(volunteers[0], [volunteers[1]]);
  await expectDirectLinks(volunteers[1], [volunteers[2]]);
  for (const volunteer of volunteers) await expect(volunteer.getByTestId('donation-state')).toContainText('WebGPU');
  expect([...tabs.hosts]).toEqual(expect.arrayContaining(['localhost']));
  expect([...tabs.hosts].filter((host) => host !== 'localhost' && host !== '127.0.0.1')).toEqual([]);
});

test('wasm stages carry a longer chat of several turns', async () => {
  const volunteers = [await tabs.volunteer('0-4', 'wasm'), await tabs.volunteer('4-8', 'wasm')];
  const chat = await tabs.open('?backend=wasm');
  await poolIsWhole(chat);
  const turns: [question: string, answer: string][] = [
    ['What is 7 plus 5?', '7 plus 5 is 12.'],
    ['And 9 times 6?', '9 times 6 is 54.'],
    ['What is the capital of Italy?', 'The capital of Italy is Rome.'],
    ['And Spain?', 'The capital of Spain is Madrid.'],
    ['hi, whats the capital of japan', 'The capital of Japan is Tokyo.'],
  ];
  for (const [question, answer] of turns) {
    await ask(chat, question);
    await expect(chat.getByTestId('answer')).toHaveText(answer);
    await expect(chat.getByTestId('answer-stats')).toBeVisible();
  }
  await expectDirectLinks(chat, volunteers);
});

test('a volunteer tab that is closed leaves the Network view within 10 s', async () => {
  const staying = await tabs.volunteer('0-4', 'wasm');
  const leaving = await tabs.volunteer('4-8', 'wasm');
  const viewer = await tabs.open('?tab=network');
  await expect(viewer.getByTestId('stage')).toHaveCount(2);
  await leaving.close();
  await expect(viewer.getByTestId('stage')).toHaveCount(1, { timeout: 10_000 });
  await expect(viewer.getByTestId('pool')).toContainText('4–7');
  await staying.close();
  await expect(viewer.getByTestId('stage')).toHaveCount(0, { timeout: 10_000 });
});

test('a layer that nobody serves is said by name, from what is known and without waiting for anybody', async () => {
  await tabs.volunteer('0-4', 'wasm');
  await tabs.volunteer('6-8', 'wasm');
  const chat = await tabs.open('?backend=wasm');
  await chat.waitForFunction(() => {
    const peer = (window as unknown as { unfed?: { peer: Peer } }).unfed?.peer;
    return peer?.network.pools[0]?.stages.length === 2;
  });
  const said = await chat.evaluate(async () => {
    const { peer } = (window as unknown as { unfed: { peer: Peer } }).unfed;
    const model = await peer.openChat(peer.network.pools[0].manifest);
    const events: string[] = [];
    const startMs = performance.now();
    try {
      for await (const event of model.answer([{ role: 'user', content: 'Hello!' }])) {
        events.push(event.kind === 'progress' ? event.stage : event.kind);
      }
    } catch (error) {
      return { events, message: (error as Error).message, ms: performance.now() - startMs };
    }
    return { events, message: 'an answer', ms: 0 };
  });
  expect(said.message).toMatch(/^nobody serves layers 4–5 of demo/);
  expect(said.events).toEqual(['planning']);
  test.info().annotations.push({ type: 'said after', description: `${said.ms.toFixed(1)} ms` });
  await ask(chat, 'Hello!');
  await expect(chat.getByTestId('error')).toContainText('nobody serves layers 4–5 of demo');
});

test('a stage that disappears mid-answer: what was written stays, and trying again works once the layers are back', async () => {
  await tabs.volunteer('0-4', 'wasm');
  const leaving = await tabs.volunteer('4-8', 'wasm');
  const chat = await tabs.open('?backend=wasm');
  await poolIsWhole(chat);
  await ask(chat, 'Tell me a story about a fox.');
  await expect(chat.getByTestId('answer')).toContainText('One day, Emma');
  await leaving.close();
  await expect(chat.getByTestId('error')).toBeVisible();
  await expect(chat.getByTestId('answer')).toContainText('One day, Emma');
  await tabs.volunteer('4-8', 'wasm');
  await poolIsWhole(chat);
  await chat.getByTestId('retry').click();
  expect(await answerOf(chat)).toContain('From that day on, Emma was always curious.');
});

test('stop ends the answer at once and keeps what was written', async () => {
  await tabs.volunteer('0-8', 'wasm');
  const chat = await tabs.open('?backend=wasm');
  await poolIsWhole(chat);
  await ask(chat, 'Tell me a story about a fox.');
  await expect(chat.getByTestId('answer')).toContainText('One day');
  await chat.getByTestId('stop').click();
  await expect(chat.getByTestId('send')).toBeVisible();
  await expect(chat.getByTestId('answer')).toContainText('One day');
  await ask(chat, 'What is the capital of France?');
  await expect(chat.getByTestId('answer')).toHaveText('The capital of France is Paris.');
});

test('a prompt longer than the context is said before it is sent', async () => {
  await tabs.volunteer('0-8', 'wasm');
  const chat = await tabs.open('?backend=wasm');
  await poolIsWhole(chat);
  await ask(chat, 'Hello!');
  await answerOf(chat);
  await chat.getByTestId('prompt').fill('fox river lantern '.repeat(200));
  await expect(chat.getByTestId('too-long')).toBeVisible();
  await expect(chat.getByTestId('send')).toBeDisabled();
});

test('one page both serves all layers and answers its own chat', async () => {
  const page = await tabs.volunteer('0-8', 'wasm');
  await page.getByTestId('tab-chat').click();
  await poolIsWhole(page);
  await ask(page, 'What is the capital of France?');
  expect(await answerOf(page)).toBe('The capital of France is Paris.');
});

test('without WebGPU a volunteer serves on wasm, and the page says so', async () => {
  const page = await tabs.open('?tab=donate');
  await page.context().addInitScript(() => Reflect.deleteProperty(Navigator.prototype, 'gpu'));
  await page.reload();
  await expect(page.getByTestId('no-webgpu')).toBeVisible();
  await page.getByTestId('donate-start').click();
  const state = page.getByTestId('donation-state');
  await expect(state).toHaveAttribute('data-kind', 'serving', { timeout: 60_000 });
  await expect(state).toContainText('wasm');
  await expect(page.getByTestId('backend-note')).toHaveText('No WebGPU here.');
});
