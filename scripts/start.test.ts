/** `npm start`: all of it comes up, all of it ends, and nothing is left however it ends. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { afterEach, expect, it, vi } from 'vitest';
import { repository, startChild, type Child } from './child.ts';
import { freePort } from './free-port.ts';

const children: Child[] = [];
afterEach(() => Promise.all(children.splice(0).map((child) => child.stop())));

/** The page is not needed here, and takes the longest to build. */
function start(port: number): { tool: Child; lines: string[] } {
  const lines: string[] = [];
  const tool = startChild({
    name: 'start',
    script: 'scripts/start.ts',
    args: ['--no-page', '--pids'],
    environment: { PORT: String(port) },
    onLine: (line) => lines.push(line),
  });
  children.push(tool);
  return { tool, lines };
}

function pids(lines: readonly string[]): number[] {
  return lines.flatMap((line) => [...line.matchAll(/\bpid (\d+)/g)].map(([, pid]) => Number(pid)));
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const ways = [
  ['Ctrl-C', 'SIGINT'],
  ['being told to end', 'SIGTERM'],
  ['being killed', 'SIGKILL'],
] as const;

it.each(ways)('a relay and four peers come up, and end after %s', async (_way, signal) => {
  const port = await freePort(0);
  const { tool, lines } = start(port);
  const open = await tool.line(/^Open/, AbortSignal.timeout(50_000));
  expect(open).toContain(`http://localhost:${port}`);
  expect(lines.filter((line) => /volunteer \d/.test(line))).toHaveLength(2);
  // The guard of a circuit and the forwarder behind it share a process: on one machine that costs less.
  expect(lines.filter((line) => /forwarder 3 +forwarding as \w{8} and \w{8}/.test(line))).toHaveLength(1);
  const info = (await (await fetch(`http://localhost:${port}/relay.json`)).json()) as { models: unknown[] };
  expect(info.models).toHaveLength(1);
  const members = pids(lines);
  expect(members.map(alive)).toEqual([true, true, true, true]);
  process.kill(tool.pid, signal);
  await tool.ended;
  await vi.waitFor(() => expect(members.map(alive)).toEqual([false, false, false, false]), { timeout: 15_000 });
});

it.runIf(process.platform === 'linux')('all of it ends when npm is killed', async () => {
  const environment = { ...process.env, PORT: String(await freePort(0)) };
  const npm = spawn('npm', ['start', '--', '--no-page', '--pids'], { cwd: repository, env: environment });
  const lines: string[] = [];
  await new Promise<void>((resolve) => {
    createInterface({ input: npm.stdout }).on('line', (line) => {
      lines.push(line);
      if (line.startsWith('Open')) resolve();
    });
  });
  npm.kill('SIGKILL');
  await vi.waitFor(() => expect(pids(lines).map(alive)).toEqual([false, false, false, false]), { timeout: 15_000 });
});

it('a volunteer that dies is named while the others go on; the end of the relay ends all', async () => {
  const { tool, lines } = start(await freePort(0));
  await tool.line(/^Open/, AbortSignal.timeout(50_000));
  const [relay = 0, volunteer = 0, ...others] = pids(lines);
  process.kill(volunteer, 'SIGKILL');
  expect(await tool.line(/ended/, AbortSignal.timeout(15_000))).toBe('volunteer 1 ended (SIGKILL)');
  expect([relay, ...others].map(alive)).toEqual([true, true, true]);
  process.kill(relay, 'SIGKILL');
  expect(await tool.line(/relay ended/, AbortSignal.timeout(15_000))).toBe('the relay ended (SIGKILL)');
  await tool.ended;
  await vi.waitFor(() => expect(others.filter(alive)).toEqual([]), { timeout: 15_000 });
});

it('a PORT that is none is refused', async () => {
  const { tool, lines } = start(0);
  await tool.ended;
  expect(lines.join('\n')).toContain('PORT: expected a number from 1 to 65535, came 0');
});
