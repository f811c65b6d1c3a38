/** A tool that npm started must not outlive it: npm killed hard leaves its children to themselves. */
import { readFileSync } from 'node:fs';
import { parentPollMs } from './limits.ts';

/**
 * Calls back once when npm, or the shell between it and this process, is gone. Only under npm: a tool started by itself
 * may outlive its terminal, as with nohup.
 */
export function onParentGone(listener: () => void): void {
  if (process.env['npm_lifecycle_event'] === undefined) return;
  const before = ancestors();
  const timer = setInterval(() => {
    if (ancestors() === before) return;
    clearInterval(timer);
    listener();
  }, parentPollMs);
  timer.unref();
}

/** The parent, and where the system shows it in /proc (Linux) the parent's parent: npm puts a shell between. */
function ancestors(): string {
  const parent = process.ppid;
  try {
    // The fourth field; the second is a name in parentheses, which may hold spaces.
    const [, grandparent] = readFileSync(`/proc/${parent}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return `${parent} ${grandparent}`;
  } catch {
    // No /proc, as on macOS, whose shell replaces itself by the command: the parent is npm.
    return `${parent}`;
  }
}
