import { InvalidValueError } from '@unfed/protocol';
import { describe, expect, it } from 'vitest';
import { help, readOptions } from './options.ts';

const hash = 'ab'.repeat(32);

describe('options of a volunteer', () => {
  it('default to a relay on this machine and to what the pool lacks', () => {
    expect(readOptions([], {})).toEqual({
      relayUrl: 'http://localhost:8080',
      model: undefined,
      layers: undefined,
      forwardOnly: false,
      peers: 1,
      identityFile: undefined,
      memoryBytesMax: undefined,
      operator: undefined,
      storeFolder: undefined,
      uploadBytesPerSecond: undefined,
    });
  });

  it('come from flags, then from the environment', () => {
    const environment = { UNFED_RELAY: 'http://localhost:1/', UNFED_LAYERS: '0-2', UNFED_FORWARD_ONLY: '1' };
    const flags = ['--layers', '2-8', '--memory', '3', '--model', hash, '--store', 'pieces', '--upload', '64'];
    expect(readOptions(flags, environment)).toMatchObject({
      relayUrl: 'http://localhost:1',
      layers: { first: 2, last: 8 },
      forwardOnly: true,
      memoryBytesMax: 3 * 2 ** 20,
      storeFolder: 'pieces',
      uploadBytesPerSecond: 64 * 1024,
      model: hash,
    });
  });

  it.each([
    ['--layers', '4-4'],
    ['--layers', '5-2'],
    ['--layers', '0–4'],
    ['--memory', '0'],
    ['--memory', 'much'],
    ['--upload', '0'],
    ['--model', 'demo'],
    ['--peers', '0'],
    ['--peers', '2'],
  ])('%s %s is refused with what was expected', (flag, value) => {
    expect(() => readOptions([flag, value], {})).toThrow(InvalidValueError);
  });

  it('several peers forward only, and have no identity to keep', () => {
    expect(readOptions(['--peers', '2', '--forward-only'], {})).toMatchObject({ peers: 2, forwardOnly: true });
    expect(() => readOptions(['--peers', '2', '--forward-only', '--identity', 'file'], {})).toThrow(InvalidValueError);
    expect(readOptions(['--identity', 'file'], {})).toMatchObject({ peers: 1, identityFile: 'file' });
  });

  it('are all in the help, and a flag that does not exist is refused', () => {
    expect(readOptions(['--help'], {})).toBe('help');
    const flags = ['relay', 'model', 'layers', 'forward-only', 'peers', 'identity', 'memory', 'store', 'upload'];
    for (const flag of [...flags, 'operator']) {
      expect(help).toContain(`--${flag}`);
    }
    expect(() => readOptions(['--layer', '0-4'], {})).toThrow(/layer/);
  });
});
