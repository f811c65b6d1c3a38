import { describe, expect, it } from 'vitest';
import { helpText, parseCommand } from './options.ts';

describe('options', () => {
  it('have defaults that serve this machine alone', () => {
    expect(parseCommand([], {})).toMatchObject({
      kind: 'run',
      options: { host: '127.0.0.1', port: 8080, stunPort: 3478, modelsDir: 'build/models', behindProxy: false },
    });
  });

  it('come from flags, then from the environment', () => {
    const environment = { UNFED_RELAY_PORT: '1', UNFED_RELAY_STUN_PORT: '2', UNFED_RELAY_BEHIND_PROXY: '1' };
    const command = parseCommand(['--port', '3', '--web', 'page', '--check'], environment);
    expect(command).toMatchObject({
      kind: 'check',
      options: { port: 3, stunPort: 2, webRoot: 'page', behindProxy: true },
    });
  });

  it('take the TURN credential from the environment alone', () => {
    const command = parseCommand(['--turn', 'turn:turn.example:3478', '--turn-username', 'u'], {
      UNFED_RELAY_TURN_CREDENTIAL: 'secret',
    });
    const turn = { urls: 'turn:turn.example:3478', username: 'u', credential: 'secret' };
    expect(command).toMatchObject({ options: { turn } });
    expect(() => parseCommand(['--turn-credential', 'secret'], {})).toThrow(/--help/);
  });

  it('are refused with what was expected', () => {
    for (const args of [
      ['--port', '65536'],
      ['--port', 'http'],
      ['--stun-port', '-1'],
      ['--public-url', 'relay.example'],
      ['--turn', 'https://turn.example'],
      ['--publisher', 'somebody'],
      ['--unknown'],
      ['stray'],
    ]) {
      expect(() => parseCommand(args, {}), args.join(' ')).toThrow(expect.objectContaining({ code: 'usage' }));
    }
  });

  it('are all in the help', () => {
    expect(parseCommand(['--help'], {})).toEqual({ kind: 'help' });
    for (const flag of [
      'host',
      'port',
      'stun-port',
      'web',
      'models',
      'publisher',
      'identity',
      'public-url',
      'behind-proxy',
      'turn',
      'check',
    ])
      expect(helpText).toContain(`--${flag} `);
  });
});
