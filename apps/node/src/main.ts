/** A volunteer without a browser: joins through a relay, serves layers or only forwards, until it is told to end. */
import { createPeer, type NetworkView, type Peer, type RelayInfo } from '@unfed/client/node';
import { identityFrom } from '@unfed/network/node';
import { errorText, manifestHash, spanText } from '@unfed/protocol';
import { help, readOptions, type NodeOptions } from './options.ts';
import { fetchRelayInfo } from './relay-info.ts';
import { showProgress } from './progress-line.ts';

interface Serving {
  readonly relay: RelayInfo;
  readonly options: NodeOptions;
  readonly signal: AbortSignal;
}

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
  const identity = options.identityFile === undefined ? undefined : await identityFrom(options.identityFile);
  const peers: Peer[] = [];
  try {
    while (peers.length < options.peers && !abort.signal.aborted) {
      peers.push(
        await createPeer({
          relay,
          modelsUrl: `${options.relayUrl}/models`,
          ...(identity === undefined ? {} : { identity }),
          forward: options.forwardOnly,
          operator: options.operator,
          storeFolder: options.storeFolder,
          signal: abort.signal,
        }),
      );
    }
    if (!abort.signal.aborted) await serve(peers, { relay, options, signal: abort.signal });
    if (!abort.signal.aborted) await new Promise((resolve) => abort.signal.addEventListener('abort', resolve));
  } finally {
    await Promise.all(peers.map((peer) => peer.stop()));
  }
}

async function serve(peers: readonly Peer[], serving: Serving): Promise<void> {
  const [peer] = peers;
  if (serving.options.forwardOnly) return forward(peers, serving.signal);
  const { uploadBytesPerSecond } = serving.options;
  if (uploadBytesPerSecond !== undefined) peer.weights.setCaps({ uploadBytesPerSecond });
  await serveLayers(peer, serving);
}

async function forward(peers: readonly Peer[], signal: AbortSignal): Promise<void> {
  for (const peer of peers) {
    await until(peer, ({ forwarders }) => forwarders.some((forwarder) => forwarder.peer === peer.id), signal);
  }
  say(`ready: forwarding as ${peers.map(({ id }) => id.slice(-8)).join(' and ')}`);
}

async function serveLayers(peer: Peer, { relay, options, signal }: Serving): Promise<void> {
  const model = options.model ?? relay.models.map(({ manifest }) => manifestHash(manifest))[0];
  if (model === undefined) throw new Error('the relay serves no model; name one by --model');
  // Told to end while it loads, it does not load on.
  signal.addEventListener('abort', () => void peer.donation.stop(), { once: true });
  const endProgress = showProgress(peer, process.stderr);
  await peer.donation.start({ manifest: model, span: options.layers, memoryBytesMax: options.memoryBytesMax });
  endProgress();
  const { state } = peer.donation;
  if (state.kind === 'failed') throw state.error;
  if (state.kind !== 'serving') return;
  await until(peer, ({ pools }) => pools.some(({ stages }) => stages.some(({ self }) => self)), signal);
  const speed = `${state.stepsPerSecond.toFixed(0)} steps/s`;
  const layers = `layers ${spanText(state.span)} of ${state.model}`;
  say(`ready: ${layers} on ${state.backend}, ${speed}, as ${peer.id.slice(-8)}`);
}

/** Ready is who others can find: one's own announcement has come back from the relay. */
async function until(peer: Peer, done: (network: NetworkView) => boolean, signal: AbortSignal): Promise<void> {
  if (done(peer.network)) return;
  await new Promise<void>((resolve) => {
    const unlisten = peer.onChange(() => done(peer.network) && finish());
    const finish = () => {
      unlisten();
      resolve();
    };
    signal.addEventListener('abort', finish, { once: true });
  });
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
