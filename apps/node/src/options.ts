/** What a volunteer without a browser can be told, by flags or environment. */
import { parseArgs } from 'node:util';
import { InvalidValueError, manifestHash, type ManifestHash, type Span } from '@unfed/protocol';

export interface NodeOptions {
  readonly relayUrl: string;
  readonly model: ManifestHash | undefined;
  readonly layers: Span | undefined;
  readonly forwardOnly: boolean;
  readonly memoryBytesMax: number | undefined;
  readonly operator: string | undefined;
}

export const help = `unfed-node: a volunteer without a browser

  --relay URL        the relay's page, http://localhost:8080 by default   (UNFED_RELAY)
  --model HASH       the pool to serve; the relay's first model by default (UNFED_MODEL)
  --layers A-B       serve the layers from A up to, not including, B; what the pool lacks by default (UNFED_LAYERS)
  --forward-only     compute nothing, forward for others                  (UNFED_FORWARD_ONLY=1)
  --memory MIB       weights and caches together, 1024 by default          (UNFED_MEMORY)
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
      memory: { type: 'string', default: env.UNFED_MEMORY },
      operator: { type: 'string', default: env.UNFED_OPERATOR },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  return {
    relayUrl: values.relay.replace(/\/$/, ''),
    model: values.model === undefined ? undefined : manifestHash(values.model),
    layers: values.layers === undefined ? undefined : readSpan(values.layers),
    forwardOnly: values['forward-only'],
    memoryBytesMax: values.memory === undefined ? undefined : readMebibytes(values.memory),
    operator: values.operator,
  };
}

/** `0-4` is [0, 4). */
export function readSpan(text: string): Span {
  const match = /^(\d{1,4})-(\d{1,4})$/.exec(text);
  const [first, last] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || first >= last) throw new InvalidValueError('--layers', 'A-B with A below B, such as 0-4', text);
  return { first, last };
}

function readMebibytes(text: string): number {
  const mebibytes = Number(text);
  if (!Number.isInteger(mebibytes) || mebibytes < 1) {
    throw new InvalidValueError('--memory', 'a whole number of MiB from 1', text);
  }
  return mebibytes * 2 ** 20;
}
