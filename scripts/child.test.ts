/** Children: ready when they say so, explained when they fail, and never left behind. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { startChild, type Child } from './child.ts';

const childModule = join(import.meta.dirname, 'child.ts');
let folder: string;
const children: Child[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'unfed-child-'));
});

afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => child.stop()));
  rmSync(folder, { recursive: true });
});

function start(text: string, name = 'the child'): Child {
  const script = join(folder, `${name.replaceAll(' ', '-')}.mts`);
  writeFileSync(script, text);
  const child = startChild({ name, script, args: [] });
  children.push(child);
  return child;
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** A grandchild that ignores everything but SIGKILL and SIGTERM, and says its pid. */
const stubborn = `import { spawn } from 'node:child_process';
const grandchild = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
console.log('grandchild ' + grandchild.pid);
setInterval(() => {}, 1000);\n`;

it('a child is ready at the line that says so', async () => {
  const child = start("console.log('loading'); console.log('ready on 7'); setInterval(() => {}, 1000);");
  expect(await child.line(/^ready/, AbortSignal.timeout(30_000))).toBe('ready on 7');
});

it('a child that ends before it is ready is explained in one sentence', async () => {
  const child = start("throw new Error('port: expected a free port, came 80');", 'the relay');
  await expect(child.line(/^ready/, AbortSignal.timeout(30_000))).rejects.toThrow(
    'the relay ended (1): Error: port: expected a free port, came 80',
  );
});

it('waiting for a line ends with its signal', async () => {
  const child = start('setInterval(() => {}, 1000);');
  const controller = new AbortController();
  const waiting = child.line(/^ready/, controller.signal);
  controller.abort(new Error('stopped by the user'));
  await expect(waiting).rejects.toThrow('stopped by the user');
});

it('stopping a child ends what it started', async () => {
  const child = start(stubborn);
  const line = await child.line(/^grandchild/, AbortSignal.timeout(30_000));
  await child.stop();
  await vi.waitFor(() => expect(lives(Number(line.split(' ')[1]))).toBe(false), { timeout: 10_000 });
});

it('children of children end when the parent is killed', async () => {
  writeFileSync(join(folder, 'inner.mts'), stubborn);
  const parent = start(
    `import { startChild } from ${JSON.stringify(childModule)};
const child = startChild({ name: 'inner', script: ${JSON.stringify(join(folder, 'inner.mts'))}, args: [], onLine: (line) => console.log(child.pid + ' ' + line) });\n`,
    'the parent',
  );
  const line = await parent.line(/grandchild/, AbortSignal.timeout(30_000));
  const pids = [...line.matchAll(/\d+/g)].map(Number);
  expect(pids.map(lives)).toEqual([true, true]);
  parent.kill();
  await vi.waitFor(() => expect(pids.map(lives)).toEqual([false, false]), { timeout: 10_000 });
});
