/** The relay as a process: options in, one line when it is ready, a graceful end on SIGTERM or SIGINT. */
import { errorText, UnfedError } from '@unfed/protocol';
import { helpText, parseCommand, UsageError, type Command } from './options.ts';
import { startRelay, type RelayServiceOptions } from './relay.ts';

const log = (line: string): void => void process.stderr.write(`${line}\n`);

async function main(): Promise<void> {
  const command: Command = parseCommand(process.argv.slice(2), process.env);
  if (command.kind === 'help') {
    process.stdout.write(helpText);
    return;
  }
  const abort = new AbortController();
  const end = (): void => abort.abort(new EndedError());
  process.once('SIGTERM', end);
  process.once('SIGINT', end);
  // A parent that started this with a channel and is gone wants it gone too.
  process.once('disconnect', end);
  const options = { ...command.options, onEvent: log, signal: abort.signal };
  await (command.kind === 'check' ? check(options) : run(options, abort.signal));
}

/** It was told to end: no failure. */
class EndedError extends UnfedError {
  readonly code = 'ended';

  constructor() {
    super('the relay was told to end');
  }
}

async function run(options: RelayServiceOptions, signal: AbortSignal): Promise<void> {
  const relay = await startRelay(options);
  // The address stands between blanks, so that terminals and scripts take it whole.
  process.stdout.write(`ready: ${relay.url} as relay ${relay.peer.slice(-8)}, STUN on UDP port ${relay.stunPort}\n`);
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
  await relay.stop();
}

/** Starts all, asks it as a page would, and ends: for deployments, before traffic is sent. */
async function check(options: RelayServiceOptions): Promise<void> {
  const relay = await startRelay(options);
  try {
    for (const path of ['/readyz', '/relay.json', ...(options.webRoot === undefined ? [] : ['/'])]) {
      const response = await fetch(`${relay.url}${path}`);
      const text = await response.text();
      if (!response.ok) throw new UsageError(`${path}: expected status 200, came ${response.status} (${text.trim()})`);
      process.stdout.write(`${path} answers\n`);
    }
  } finally {
    await relay.stop();
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    if (error instanceof EndedError) process.exit(0);
    log(error instanceof UnfedError ? error.message : `the relay failed: ${errorText(error)}`);
    process.exit(error instanceof UsageError ? 2 : 1);
  },
);
