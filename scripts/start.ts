/**
 * `npm start`: the page, a relay, two volunteers that cover the demo model and two peers that only forward, as many as a
 * circuit's guard and the forwarder behind it, until Ctrl-C.
 * `--no-page` leaves the page out, `--pids` names the processes; both are for tests.
 */
import { parseArgs } from 'node:util';
import { errorText, InvalidValueError } from '@unfed/protocol';
import { ChildEndedError } from './child.ts';
import { onParentGone } from './parent.ts';
import { relayName, startLocalPool, type LocalPool } from './local-pool.ts';
import { prepare } from './prepare.ts';

const volunteers = [{ layers: '0-4' }, { layers: '4-8' }, { forwarders: 2 }];
const abort = new AbortController();
let preparing = true;
let pool: LocalPool | undefined;

function end(): void {
  // A build cannot be interrupted, and has started nobody who must be told.
  if (abort.signal.aborted || preparing) {
    pool?.kill();
    process.exit(130);
  }
  abort.abort(new Error('stopped'));
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { 'no-page': { type: 'boolean' }, pids: { type: 'boolean' } } });
  const page = values['no-page'] !== true;
  const port = readPort(process.env['PORT']);
  console.log('Preparing the page and the demo model …');
  const { webRoot, modelsDir } = await prepare({ page });
  preparing = false;
  console.log('Starting a relay and four peers …');
  pool = await startLocalPool({
    port,
    ...(page ? { webRoot } : {}),
    modelsDir,
    volunteers,
    onLost: (ended) => {
      console.error(ended.message);
      if (ended.child === relayName) abort.abort(ended);
    },
    signal: abort.signal,
  });
  for (const { name, pid, readyLine } of pool.members) {
    console.log(
      `  ${name.padEnd(12)} ${readyLine.replace(/^ready:? */, '')}${values.pids === true ? `, pid ${pid}` : ''}`,
    );
  }
  if (!pool.url.endsWith(`:${port}`)) console.log(`Port ${port} is taken; this is the next free one.`);
  console.log(`\nOpen  ${pool.url}  and ask "What is the capital of France?". Ctrl-C ends all of it.\n`);
  await new Promise<void>((resolve) => {
    abort.signal.addEventListener('abort', () => resolve(), { once: true });
    if (abort.signal.aborted) resolve();
  });
  await pool.stop();
  if (abort.signal.reason instanceof ChildEndedError) process.exitCode = 1;
}

/** @throws InvalidValueError */
function readPort(text = '8080'): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new InvalidValueError('PORT', 'a number from 1 to 65535', text);
  }
  return port;
}

process.on('SIGINT', end);
process.on('SIGTERM', end);
process.on('SIGHUP', end);
onParentGone(end);

try {
  await main();
} catch (error) {
  if (!abort.signal.aborted) {
    console.error(errorText(error));
    process.exitCode = 1;
  }
}
// esbuild and the parent watch may hold the loop; everything of ours has ended.
process.exit();
