/** A tool that npm started must not outlive it: npm killed hard leaves its children to themselves. */
import { parentPollMs } from './limits.ts';

/** Calls back once when the process that started this one is gone; only under npm, so that nohup works without it. */
export function onParentGone(listener: () => void): void {
  if (process.env['npm_lifecycle_event'] === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    listener();
  }, parentPollMs);
  timer.unref();
}
