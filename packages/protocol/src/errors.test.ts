import { describe, expect, it } from 'vitest';
import { DecodeError, errorText, RemoteError, toWireError } from './errors.ts';
import * as limits from './limits.ts';

describe('errors', () => {
  it('S3: cross a link as code and message, within the limits of a failed frame', () => {
    const { code, message } = toWireError(new DecodeError('frame', 'x'.repeat(2000), 'y'));
    expect(code).toBe('decode');
    expect(message.length).toBeLessThanOrEqual(limits.wireErrorMessageCharsMax);
  });

  it('S3: say nothing of an unknown error', () => {
    const wire = toWireError(new TypeError('/home/somebody/secret'));
    expect(wire.code).toBe('internal');
    expect(wire.message).not.toContain('secret');
  });

  it('keep the code of the other end', () => {
    const error = new RemoteError({ code: 'stage-busy', message: 'no room' });
    expect([error.code, error.remoteCode, error.message, error.name]).toEqual([
      'remote',
      'stage-busy',
      'no room',
      'RemoteError',
    ]);
  });

  it('have a text, whatever was thrown', () => {
    expect([errorText(new Error('a')), errorText('b'), errorText(undefined)]).toEqual(['a', 'b', 'undefined']);
  });
});
