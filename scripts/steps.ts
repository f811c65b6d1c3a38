/** Steps of a long command: each a program with a name and its time; its output is shown where somebody needs it. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { repository } from './child.ts';

export interface Step {
  readonly name: string;
  /** Program and arguments; a program of node_modules/.bin by its name. */
  readonly command: readonly [program: string, ...args: string[]];
  /** `live` for long steps, `onFailure` for those that run beside others. */
  readonly output: 'live' | 'onFailure';
  readonly environment?: Readonly<Record<string, string>>;
}

export interface StepResult {
  readonly name: string;
  readonly ok: boolean;
  readonly seconds: number;
}

/** Runs one step and prints a line with its name, its time and, if it failed, all that it said. Never throws. */
export async function runStep(step: Step, signal: AbortSignal): Promise<StepResult> {
  const startMs = performance.now();
  const { ok, said } = await runCommand(step, signal);
  const seconds = (performance.now() - startMs) / 1000;
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${step.name.padEnd(12)} ${seconds.toFixed(1).padStart(6)} s`);
  if (!ok && said !== '') console.log(said);
  return { name: step.name, ok, seconds };
}

/** Runs lanes beside each other, the steps of a lane one after another. @returns results in the order they ended */
export async function runLanes(
  lanes: readonly (readonly Step[])[],
  { keepGoing, signal }: { keepGoing: boolean; signal: AbortSignal },
): Promise<StepResult[]> {
  const results: StepResult[] = [];
  const failed = () => results.some(({ ok }) => !ok);
  const runLane = async (steps: readonly Step[]) => {
    for (const step of steps) {
      if (signal.aborted || (failed() && !keepGoing)) return;
      results.push(await runStep(step, signal));
    }
  };
  await Promise.all(lanes.map(runLane));
  return results;
}

function runCommand(step: Step, signal: AbortSignal): Promise<{ ok: boolean; said: string }> {
  const [program, ...args] = step.command;
  const bin = program === 'node' ? process.execPath : join(repository, 'node_modules/.bin', program);
  const live = step.output === 'live';
  const child = spawn(bin, args, {
    cwd: repository,
    env: { ...process.env, ...step.environment },
    stdio: live ? 'inherit' : ['ignore', 'pipe', 'pipe'],
    signal,
  });
  const parts: Buffer[] = [];
  child.stdout?.on('data', (part: Buffer) => parts.push(part));
  child.stderr?.on('data', (part: Buffer) => parts.push(part));
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ ok: false, said: error.message }));
    child.once('close', (code) => resolve({ ok: code === 0, said: Buffer.concat(parts).toString().trim() }));
  });
}
