/** `unfed`: finds the command, runs it, and turns how it ended into an exit code. */
import { UnfedError } from '@unfed/protocol';
import { addModelCommand, addModelHelp } from './model-add.ts';
import { signModelCommand, signModelHelp } from './model-sign.ts';
import type { Terminal } from './terminal.ts';
import { UsageError } from './usage.ts';

const help = `unfed: work with models and pools from a terminal

Usage: unfed COMMAND

Commands:
  model add FOLDER --out DIR    make shards and a manifest of a Hugging Face folder
  model sign FOLDER --key FILE  put a publisher's signature beside the manifest

\`unfed COMMAND --help\` says more about one.
Exit codes: 0 done, 1 failed, 2 called wrongly, 130 interrupted.
`;

const exitCodes = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;

const processTerminal: Terminal = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  columns: process.stderr.isTTY ? process.stderr.columns : undefined,
};

/**
 * @param args without node and the script
 * @returns the exit code
 */
export async function main(args: readonly string[], terminal: Terminal = processTerminal): Promise<number> {
  const interrupt = new AbortController();
  const onInterrupt = (): void => interrupt.abort();
  process.once('SIGINT', onInterrupt);
  process.once('SIGTERM', onInterrupt);
  try {
    await run(args, terminal, interrupt.signal);
    return exitCodes.done;
  } catch (error) {
    if (interrupt.signal.aborted) {
      terminal.err('unfed: interrupted; nothing half made was kept\n');
      return exitCodes.interrupted;
    }
    if (error instanceof UsageError) {
      terminal.err(`unfed: ${error.message}\n\n${error.help}`);
      return exitCodes.usage;
    }
    terminal.err(error instanceof UnfedError || isSystemError(error) ? `unfed: ${error.message}\n` : stackOf(error));
    return exitCodes.failed;
  } finally {
    process.off('SIGINT', onInterrupt);
    process.off('SIGTERM', onInterrupt);
  }
}

async function run(args: readonly string[], terminal: Terminal, signal: AbortSignal): Promise<void> {
  const [noun, verb] = args;
  if (noun === undefined) throw new UsageError('expected a command, came none', help);
  if (noun === '--help' || noun === '-h' || noun === 'help') return terminal.out(help);
  if (noun !== 'model') throw new UsageError(`expected the command model, came ${noun}`, help);
  if (verb === '--help' || verb === '-h') return terminal.out(`${addModelHelp}\n${signModelHelp}`);
  if (verb === 'add') return addModelCommand(args.slice(2), terminal, signal);
  if (verb === 'sign') return signModelCommand(args.slice(2), terminal);
  throw new UsageError(`expected model add or model sign, came model ${verb ?? ''}`.trimEnd(), help);
}

/** No space, no permission: the system's own words are the best there are. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}

function stackOf(error: unknown): string {
  return `unfed: an internal error; please report it\n${error instanceof Error ? error.stack : String(error)}\n`;
}
