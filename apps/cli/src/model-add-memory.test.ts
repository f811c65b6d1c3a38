import { execFile } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { randomHuggingFaceFolder } from '@unfed/testing/node';
import { afterAll, beforeAll, expect, it } from 'vitest';

/** What adding a model may take beyond the program itself, whatever the model's size. */
const memoryBytesMax = 56 << 20;
/** The folder is at least so many times that. */
const timesLarger = 3;

let scratch = '';
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'unfed-cli-memory-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

/** Prints the memory that the process held before, and the most that was seen while it worked, in bytes. */
const program = `
  const { main } = await import('./main.ts');
  let most = 0;
  const look = () => void (most = Math.max(most, process.memoryUsage.rss()));
  const terminal = { out: look, err: look, columns: 80 };
  await main(['--help'], terminal);
  const before = process.memoryUsage.rss();
  const looking = setInterval(look, 20);
  const exitCode = await main(process.argv.slice(1), terminal);
  clearInterval(looking);
  console.log(JSON.stringify({ exitCode, before, most }));
`;

it('unfed model add: memory stays bounded for a folder several times that size', async () => {
  const dir = join(scratch, 'model');
  const config = { num_hidden_layers: 22, hidden_size: 512, intermediate_size: 1024, num_attention_heads: 32 };
  await randomHuggingFaceFolder({ dir, family: 'llama', seed: 5, config });
  const { size } = await stat(join(dir, 'model.safetensors'));
  expect(size).toBeGreaterThan(timesLarger * memoryBytesMax);
  const args = [
    '--import',
    'tsx',
    '--input-type=module',
    '--eval',
    program,
    'model',
    'add',
    dir,
    '--out',
    join(scratch, 'out'),
  ];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: import.meta.dirname });
  const { exitCode, before, most } = JSON.parse(stdout) as { exitCode: number; before: number; most: number };
  expect(exitCode).toBe(0);
  expect(most - before).toBeLessThan(memoryBytesMax);
}, 120_000);
