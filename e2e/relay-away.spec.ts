/** The relay cannot be reached at the start, or goes away later: the page says so, keeps trying, and loses nothing. */
import { expect, test } from '@playwright/test';
import { answerOf, poolIsWhole, startPagePool, Tabs } from './pool-page.ts';

test('unreachable at the start: said, tried again, and the question that was typed meanwhile is answered', async ({
  browser,
}) => {
  const pool = await startPagePool([{ layers: '0-8' }]);
  const tabs = new Tabs(browser, pool);
  try {
    const page = await tabs.open('?backend=wasm');
    await page.context().route('**/relay.json', (route) => route.abort('connectionrefused'));
    await page.reload();
    await expect(page.getByTestId('relay-state')).toHaveAttribute('data-kind', 'retrying');
    await page.getByTestId('prompt').fill('What is the capital of France?');
    await page.getByTestId('send').click();
    await expect(page.getByText('What is the capital of France?')).toBeVisible();
    await page.context().unroute('**/relay.json');
    await page.getByTestId('consent').click();
    expect(await answerOf(page)).toBe('The capital of France is Paris.');
  } finally {
    await tabs.close();
    await pool.stop();
  }
});

test('gone in the middle: links between tabs stay, and the chat goes on', async ({ browser }) => {
  const pool = await startPagePool();
  const tabs = new Tabs(browser, pool);
  try {
    await tabs.volunteer('0-4', 'wasm');
    await tabs.volunteer('4-8', 'wasm');
    const chat = await tabs.open('?backend=wasm');
    await poolIsWhole(chat);
    const ask = async (question: string) => {
      await chat.getByTestId('prompt').fill(question);
      await chat.getByTestId('send').click();
    };
    await ask('What is the capital of Italy?');
    await chat.getByTestId('consent').click();
    expect(await answerOf(chat)).toBe('The capital of Italy is Rome.');
    await pool.stop();
    await expect(chat.getByTestId('relay-state')).toHaveAttribute('data-kind', 'retrying');
    await ask('And Spain?');
    await expect(chat.getByTestId('answer')).toHaveText('The capital of Spain is Madrid.');
  } finally {
    await tabs.close();
    await pool.stop();
  }
});
