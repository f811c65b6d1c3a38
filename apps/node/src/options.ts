/** What a volunteer without a browser can be told, by flags or environment. */
import { parseArgs } from 'node:util';
import { InvalidValueError, manifestHash, type ManifestHash, type Span } from '@unfed/protocol';

export interface NodeOptions {
  readonly relayUrl: string;
  readonly model: ManifestHash | undefined;
  readonly layers: Span | undefined;
  readonly forwardOnly: boolean;
  /** Peers in this process, each with an identity of its own; more than one forward only. */
  readonly peers: number;
  /** Where the identity is kept; a new one at every start when absent. */
  readonly identityFile: string | undefined;
  readonly memoryBytesMax: number | undefined;
  readonly operator: string | undefined;
  /** Where chunks of models are kept; in memory when absent. */
  readonly storeFolder: string | undefined;
  readonly uploadBytesPerSecond: number | undefined;
}

export const help = `unfed-node: a volunteer without a browser

  --relay URL        the relay's page, http://localhost:8080 by default   (UNFED_RELAY)
  --model HASH       the pool to serve; the relay's first model by default (UNFED_MODEL)
  --layers A-B       serve the layers from A up to, not including, B; what the pool lacks by default (UNFED_LAYERS)
  --forward-only     compute nothing, forward for others                  (UNFED_FORWARD_ONLY=1)
  --peers N          so many peers that only forward, for a pool on one machine; 1 by default (UNFED_PEERS)
  --identity FILE    keeps the peer's identity there, so that it is known again: guards are chosen among peers
                     that have been there for long; a new one at every start by default (UNFED_IDENTITY)
  --memory MIB       weights and caches together, 1024 by default          (UNFED_MEMORY)
  --store DIR        keeps the model's pieces there, for this volunteer alone; in memory by default. Pieces of
                     models that the relay no longer knows are removed       (UNFED_STORE)
  --upload KIB_PER_S what other volunteers may fetch from here; no limit by default (UNFED_UPLOAD)
  --operator NAME    who runs this peer, told to everyone                  (UNFED_OPERATOR)
  --help

Prints a line that starts with "ready" once it serves, and ends on SIGINT or SIGTERM.
`;

/** @throws InvalidValueError; TypeError of node:util for flags that do not exist */
export function readOptions(args: readonly string[], env: NodeJS.ProcessEnv): NodeOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      relay: { type: 'string', default: env.UNFED_RELAY ?? 'http://localhost:8080' },
      model: { type: 'string', default: env.UNFED_MODEL },
      layers: { type: 'string', default: env.UNFED_LAYERS },
      'forward-only': { type: 'boolean', default: env.UNFED_FORWARD_ONLY === '1' },
      peers: { type: 'string', default: env.UNFED_PEERS ?? '1' },
      identity: { type: 'string', default: env.UNFED_IDENTITY },
      memory: { type: 'string', default: env.UNFED_MEMORY },
      store: { type: 'string', default: env.UNFED_STORE },
      upload: { type: 'string', default: env.UNFED_UPLOAD },
      operator: { type: 'string', default: env.UNFED_OPERATOR },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const peers = readWhole('--peers', values.peers, 'peers');
  if (peers > 1 && (!values['forward-only'] || values.identity !== undefined)) {
    throw new InvalidValueError('--peers', '1, unless with --forward-only and without --identity', values.peers);
  }
  return {
    relayUrl: values.relay.replace(/\/$/, ''),
    model: values.model === undefined ? undefined : manifestHash(values.model),
    layers: values.layers === undefined ? undefined : readSpan(values.layers),
    forwardOnly: values['forward-only'],
    peers,
    identityFile: values.identity,
    memoryBytesMax: values.memory === undefined ? undefined : readWhole('--memory', values.memory, 'MiB') * 2 ** 20,
    operator: values.operator,
    storeFolder: values.store,
    uploadBytesPerSecond:
      values.upload === undefined ? undefined : readWhole('--upload', values.upload, 'KiB/s') * 1024,
  };
}

/** `0-4` is [0, 4). */
export function readSpan(text: string): Span {
  const match = /^(\d{1,4})-(\d{1,4})$/.exec(text);
  const [first, last] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || first >= last) throw new InvalidValueError('--layers', 'A-B with A below B, such as 0-4', text);
  return { first, last };
}

function readWhole(flag: string, text: string, unit: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) {
    throw new InvalidValueError(flag, `a whole number of ${unit} from 1`, text);
  }
  return number;
}
