/** A volunteer without a browser: joins through a relay, serves layers or only forwards, until it is told to end. */
import { createPeer, type Peer, type RelayInfo } from '@unfed/client/node';
import { errorText, manifestHash, spanText } from '@unfed/protocol';
import { help, readOptions, type NodeOptions } from './options.ts';

/** How long the relay may be away at the start before this gives up, ms. */
const relayWaitMsMax = 60_000;
const relayRetryMs = 500;

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), process.env);
  if (options === 'help') {
    process.stdout.write(help);
    return;
  }
  const abort = new AbortController();
  const end = () => abort.abort();
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
  // A parent that started this with a channel and is gone wants it gone too.
  process.once('disconnect', end);

  const relay = await fetchRelayInfo(options.relayUrl, abort.signal);
  const peer = await createPeer({
    relay,
    modelsUrl: `${options.relayUrl}/models`,
    forward: options.forwardOnly,
    operator: options.operator,
    signal: abort.signal,
  });
  try {
    if (!abort.signal.aborted) await serve(peer, relay, options);
    if (!abort.signal.aborted) await new Promise((resolve) => abort.signal.addEventListener('abort', resolve));
  } finally {
    await peer.stop();
  }
}

async function serve(peer: Peer, relay: RelayInfo, options: NodeOptions): Promise<void> {
  if (options.forwardOnly) {
    say(`ready: forwarding as ${peer.id.slice(-8)}`);
    return;
  }
  const model = options.model ?? relay.models.map(({ manifest }) => manifestHash(manifest))[0];
  if (model === undefined) throw new Error('the relay serves no model; name one by --model');
  await connected(peer);
  await peer.donation.start({ manifest: model, span: options.layers, memoryBytesMax: options.memoryBytesMax });
  const { state } = peer.donation;
  if (state.kind === 'failed') throw state.error;
  if (state.kind !== 'serving') return;
  const speed = state.stepsPerSecond.toFixed(0);
  say(
    `ready: layers ${spanText(state.span)} of ${state.model} on ${state.backend}, ${speed} steps/s, as ${peer.id.slice(-8)}`,
  );
}

/** What to serve follows from what others serve: so the directory comes first, unless the relay stays away. */
async function connected(peer: Peer): Promise<void> {
  const deadlineMs = Date.now() + relayWaitMsMax;
  while (peer.network.relay.kind !== 'connected' && Date.now() < deadlineMs) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** @throws Error when the relay does not answer in time */
async function fetchRelayInfo(url: string, signal: AbortSignal): Promise<RelayInfo> {
  const deadlineMs = Date.now() + relayWaitMsMax;
  for (;;) {
    try {
      const response = await fetch(`${url}/relay.json`, { signal });
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      return (await response.json()) as RelayInfo;
    } catch (cause) {
      signal.throwIfAborted();
      if (Date.now() > deadlineMs) throw new Error(`no relay answers at ${url}: ${errorText(cause)}`, { cause });
      await new Promise((resolve) => setTimeout(resolve, relayRetryMs));
    }
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`unfed-node: ${errorText(error)}\n`);
    process.exit(1);
  },
);
