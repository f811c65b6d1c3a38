/** A whole pool on this machine: a relay and volunteers, each a process of its own. Used by start, demo, e2e and bench. */
import { startChild, type Child, type ChildEndedError } from './child.ts';
import { freePort } from './free-port.ts';

/** What the relay is called in errors and lines. */
export const relayName = 'the relay';

export interface VolunteerOptions {
  /** Layers `[first, last)` as `first-last`, such as `0-4`; what the pool lacks most when absent. */
  readonly layers?: string;
  /** Compute nothing, forward only: so many peers, in one process. */
  readonly forwarders?: number;
  /** Hash of the manifest to serve; the relay's first model when absent. */
  readonly model?: string;
}

export interface LocalPoolOptions {
  /** The first TCP port tried for the relay; any when 0 or absent. */
  readonly port?: number;
  /** The address that the relay binds to; 127.0.0.1 when absent. */
  readonly host?: string;
  /** The built page; the relay serves none when absent. */
  readonly webRoot?: string;
  readonly modelsDir: string;
  readonly volunteers?: readonly VolunteerOptions[];
  /** Every line that a member prints. */
  readonly onLine?: (member: string, line: string) => void;
  /** A member that was ready ended by itself; the others go on. */
  readonly onLost?: (ended: ChildEndedError) => void;
  readonly signal: AbortSignal;
}

export interface PoolMember {
  readonly name: string;
  readonly pid: number;
  /** What it said when it was ready. */
  readonly readyLine: string;
}

export interface LocalPool {
  /** Where the page, /relay.json and /models are served. */
  readonly url: string;
  readonly members: readonly PoolMember[];
  /** Ends every member, the relay last. */
  stop(): Promise<void>;
  /** Ends every member at once, without farewell. */
  kill(): void;
}

/**
 * @returns when the relay answers and every volunteer serves
 * @throws ChildEndedError, ChildSlowError, InvalidValueError, the signal's reason; nothing is left running
 */
export async function startLocalPool(options: LocalPoolOptions): Promise<LocalPool> {
  const { volunteers = [], host = '127.0.0.1', signal } = options;
  signal.throwIfAborted();
  const port = await freePort(options.port ?? 0, host);
  const url = `http://${host === '127.0.0.1' ? 'localhost' : host}:${port}`;
  const relay = startRelay(options, { host, port });
  const others = volunteers.map((volunteer, index) => startVolunteer(volunteer, { index, url, options }));
  const children = [relay, ...others];
  let stopping = false;
  const stop = async () => {
    stopping = true;
    await Promise.all(others.map((child) => child.stop()));
    await relay.stop();
  };
  const kill = () => {
    stopping = true;
    for (const child of children) child.kill();
  };
  try {
    const starting = Promise.all(children.map((child) => child.line(/^ready/, signal)));
    // The relay's end while volunteers wait for it would otherwise be known only when they give up.
    const failure = Promise.race(children.map(async (child) => Promise.reject(await child.ended)));
    const lines = await Promise.race([starting, failure]);
    for (const child of children) void child.ended.then((ended) => stopping || options.onLost?.(ended));
    const members = children.map((child, index) => ({
      name: child.name,
      pid: child.pid,
      readyLine: lines[index] ?? '',
    }));
    return { url, members, stop, kill };
  } catch (error) {
    await stop();
    throw error;
  }
}

function startRelay(options: LocalPoolOptions, { host, port }: { host: string; port: number }): Child {
  const { webRoot, modelsDir, onLine } = options;
  return startChild({
    name: relayName,
    script: 'apps/relay/src/main.ts',
    args: [
      ...['--host', host, '--port', String(port), '--stun-port', '0', '--models', modelsDir],
      ...(webRoot === undefined ? [] : ['--web', webRoot]),
    ],
    ...(onLine === undefined ? {} : { onLine: (line) => onLine(relayName, line) }),
  });
}

function startVolunteer(
  { layers, forwarders = 0, model }: VolunteerOptions,
  { index, url, options }: { index: number; url: string; options: LocalPoolOptions },
): Child {
  const name = forwarders > 0 ? `forwarder ${index + 1}` : `volunteer ${index + 1}`;
  const { onLine } = options;
  return startChild({
    name,
    script: 'apps/node/src/main.ts',
    args: [
      ...['--relay', url],
      ...(model === undefined ? [] : ['--model', model]),
      ...(layers === undefined ? [] : ['--layers', layers]),
      ...(forwarders > 0 ? ['--forward-only', '--peers', String(forwarders)] : []),
    ],
    ...(onLine === undefined ? {} : { onLine: (line) => onLine(name, line) }),
  });
}
