/** The relay's command line and environment. */
import { parseArgs } from 'node:util';
import { errorText, InvalidValueError, peerId, UnfedError } from '@unfed/protocol';
import { parsePublicUrl } from './public-address.ts';
import type { RelayServiceOptions } from './relay.ts';

export const helpText = `Usage: relay [options]

Peers meet here. Serves the page, the directory, STUN and, as a web seed, the models.

  --host ADDRESS       address to listen on (127.0.0.1; 0.0.0.0 or :: for all)
  --port PORT          TCP port of page, models and WebSocket (8080; 0 for any)
  --stun-port PORT     UDP port of STUN (3478; 0 for any)
  --web FOLDER         the built page (none)
  --models FOLDER      one finished folder a model (build/models)
  --publisher PEER     serve only models that this peer signed, and say so (all)
  --identity FILE      where the relay's identity is kept (a new one at every start)
                       FILE.listed beside it: for how long peers were listed here
  --public-url URL     where a proxy in front serves this relay (none)
  --behind-proxy       believe X-Forwarded-For about where requests come from
  --turn URL           a TURN server for pages that cannot meet directly (none)
  --turn-username NAME
  --check              start, see that all answers, and end
  --help

Each option may be given in the environment instead: UNFED_RELAY_PORT for --port, and so on.
The TURN credential is taken from UNFED_RELAY_TURN_CREDENTIAL alone, so that it stands in no process list.
`;

export type Command =
  { readonly kind: 'help' } | { readonly kind: 'run' | 'check'; readonly options: RelayServiceOptions };

/** The command line is not one that the relay knows. */
export class UsageError extends UnfedError {
  readonly code = 'usage';

  constructor(detail: string, options?: ErrorOptions) {
    super(`${detail}; see --help`, options);
  }
}

const flags = {
  host: { type: 'string' },
  port: { type: 'string' },
  'stun-port': { type: 'string' },
  web: { type: 'string' },
  models: { type: 'string' },
  publisher: { type: 'string' },
  identity: { type: 'string' },
  'public-url': { type: 'string' },
  'behind-proxy': { type: 'boolean' },
  turn: { type: 'string' },
  'turn-username': { type: 'string' },
  check: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

type Flag = keyof typeof flags;
type Environment = Readonly<Record<string, string | undefined>>;

/** @throws UsageError */
export function parseCommand(args: readonly string[], environment: Environment): Command {
  const values = parseFlags(args);
  if (values.help === true) return { kind: 'help' };
  const given = (flag: Flag): string | undefined => {
    const value = values[flag] ?? environment[variableOf(flag)];
    return value === undefined || value === '' ? undefined : String(value);
  };
  const publicUrl = given('public-url');
  const publisher = given('publisher');
  const turnUrl = given('turn');
  try {
    if (publicUrl !== undefined) parsePublicUrl(publicUrl);
    const options: RelayServiceOptions = {
      host: given('host') ?? '127.0.0.1',
      port: portOf('port', given('port') ?? '8080'),
      stunPort: portOf('stun-port', given('stun-port') ?? '3478'),
      webRoot: given('web'),
      modelsDir: given('models') ?? 'build/models',
      publisher: publisher === undefined ? undefined : peerId(publisher),
      identityFile: given('identity'),
      publicUrl,
      behindProxy: isOn('behind-proxy', given('behind-proxy')),
      turn: turnUrl === undefined ? undefined : turnOf(turnUrl, given('turn-username'), environment),
    };
    return { kind: values.check === true ? 'check' : 'run', options };
  } catch (error) {
    throw new UsageError(errorText(error), { cause: error });
  }
}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: flags, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError(errorText(error), { cause: error });
  }
}

function variableOf(flag: Flag): string {
  return `UNFED_RELAY_${flag.toUpperCase().replaceAll('-', '_')}`;
}

function portOf(flag: Flag, text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw new InvalidValueError(`--${flag}`, 'a port of 0 to 65535', text.slice(0, 40));
}

function isOn(flag: Flag, text: string | undefined): boolean {
  if (text === undefined || text === 'false' || text === '0') return false;
  if (text === 'true' || text === '1') return true;
  throw new InvalidValueError(`--${flag}`, 'true or false', text.slice(0, 40));
}

function turnOf(urls: string, username: string | undefined, environment: Environment) {
  if (!/^turns?:[^\s/]+$/.test(urls)) throw new InvalidValueError('--turn', 'turn:HOST:PORT', urls.slice(0, 200));
  const credential = environment['UNFED_RELAY_TURN_CREDENTIAL'];
  return {
    urls,
    ...(username === undefined ? {} : { username }),
    ...(credential === undefined ? {} : { credential }),
  };
}
