/** One child process: started in its own group, ready when it says so, ended with all that it started. */
import { spawn, type ChildProcess } from 'node:child_process';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { UnfedError } from '@unfed/protocol';
import * as limits from './limits.ts';

export const repository = resolve(import.meta.dirname, '..');

export interface ChildOptions {
  /** What people call it: "the relay", "volunteer 1". */
  readonly name: string;
  /** A TypeScript file, relative to the repository. */
  readonly script: string;
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Every line of its output. */
  readonly onLine?: (line: string) => void;
}

export interface Child {
  readonly name: string;
  readonly pid: number;
  /** Resolves with the reason when it has ended, wanted or not. Never rejects. */
  readonly ended: Promise<ChildEndedError>;
  /** @returns the first line of its output that matches. @throws ChildEndedError, ChildSlowError, the signal's reason */
  line(pattern: RegExp, signal: AbortSignal): Promise<string>;
  /** SIGTERM to its group, SIGKILL after 5 s. */
  stop(): Promise<void>;
  /** SIGKILL to its group, at once. */
  kill(): void;
}

/** A child ended. The message is the sentence to show. */
export class ChildEndedError extends UnfedError {
  readonly code = 'child-ended';
  readonly child: string;
  readonly exit: number | NodeJS.Signals | null;

  constructor(child: string, exit: number | NodeJS.Signals | null, lastLine: string) {
    super(`${child} ended (${exit ?? 'unknown'})${lastLine === '' ? '' : `: ${lastLine}`}`);
    this.child = child;
    this.exit = exit;
  }
}

export class ChildSlowError extends UnfedError {
  readonly code = 'child-slow';

  constructor(child: string, lastLine: string) {
    super(
      `${child} was not ready within ${limits.readyTimeoutMs / 1000} s${lastLine === '' ? '' : `; its last words: ${lastLine}`}`,
    );
  }
}

/** Starts `script` in Node with tsx. It ends when this process ends, even when this process is killed. */
export function startChild(options: ChildOptions): Child {
  const loaders = ['--import', 'tsx', '--import', resolve(repository, 'scripts/end-with-parent.ts')];
  const child = spawn(process.execPath, [...loaders, options.script, ...options.args], {
    cwd: repository,
    env: { ...process.env, ...options.environment },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    detached: process.platform !== 'win32',
  });
  return new RunningChild(child, options);
}

class RunningChild implements Child {
  readonly name: string;
  readonly pid: number;
  readonly ended: Promise<ChildEndedError>;
  readonly #process: ChildProcess;
  readonly #lines: string[] = [];
  readonly #complaints: string[] = [];
  readonly #listeners = new Set<(line: string) => void>();

  constructor(child: ChildProcess, options: ChildOptions) {
    this.name = options.name;
    this.#process = child;
    this.pid = child.pid ?? 0;
    if (options.onLine !== undefined) this.#listeners.add(options.onLine);
    const hear = (stream: Readable | null, kept: string[]) => {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#heard(line, kept));
    };
    hear(child.stdout, this.#lines);
    hear(child.stderr, this.#complaints);
    this.ended = new Promise((resolve) => {
      child.once('error', (error) => resolve(new ChildEndedError(this.name, null, error.message)));
      child.once('close', (code, signal) => resolve(new ChildEndedError(this.name, signal ?? code, this.#lastWords())));
    });
  }

  async line(pattern: RegExp, signal: AbortSignal): Promise<string> {
    const before = [...this.#lines, ...this.#complaints].find((line) => pattern.test(line));
    if (before !== undefined) return before;
    signal.throwIfAborted();
    const cleanUp: (() => void)[] = [];
    try {
      return await new Promise<string>((resolve, reject) => {
        const heard = (line: string) => pattern.test(line) && resolve(line);
        const aborted = () => reject(signal.reason as Error);
        const timer = setTimeout(() => reject(new ChildSlowError(this.name, this.#lastWords())), limits.readyTimeoutMs);
        this.#listeners.add(heard);
        signal.addEventListener('abort', aborted);
        cleanUp.push(
          () => clearTimeout(timer),
          () => this.#listeners.delete(heard),
          () => signal.removeEventListener('abort', aborted),
        );
        void this.ended.then(reject);
      });
    } finally {
      for (const undo of cleanUp) undo();
    }
  }

  async stop(): Promise<void> {
    this.#signal('SIGTERM');
    const timer = setTimeout(() => this.kill(), limits.stopTimeoutMs);
    await this.ended;
    clearTimeout(timer);
    // Whatever it left behind in its group.
    this.#signalGroup('SIGKILL');
  }

  kill(): void {
    this.#signal('SIGKILL');
  }

  #signal(name: NodeJS.Signals): void {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    if (!this.#signalGroup(name)) this.#process.kill(name);
  }

  #signalGroup(name: NodeJS.Signals): boolean {
    if (process.platform === 'win32' || this.pid === 0) return false;
    try {
      return process.kill(-this.pid, name);
    } catch {
      // The group is gone already.
      return false;
    }
  }

  #heard(line: string, kept: string[]): void {
    kept.push(line.slice(0, limits.outputLineCharsMax));
    if (kept.length > limits.outputLinesMax) kept.shift();
    for (const listener of this.#listeners) listener(line);
  }

  /** The line of stderr that most likely says what went wrong: the last with an error in it, else the last of all. */
  #lastWords(): string {
    const said = this.#complaints.filter((line) => line.trim() !== '' && !/^\s*(at |Node\.js v|\})/.test(line));
    return (said.findLast((line) => /error|expected|cannot|failed/i.test(line)) ?? said.at(-1) ?? '').trim();
  }
}
