import { RuntimeFailedError, SessionLostError } from '@unfed/engine';
import { LinkError, type PeerId, type SessionId } from '@unfed/protocol';
import { describe, expect, it } from 'vitest';
import { StageProtocolError } from './errors.ts';
import { stageFailure } from './stage-failure.ts';

const secret = 'at /home/ada/models, 192.168.1.7';

describe('S12: what a stage says of an error', () => {
  it('is a code and a plain sentence for what its machine or its links said', () => {
    const errors = [
      new RuntimeFailedError('running layers 0–3', secret),
      new LinkError('unreachable', 'p'.repeat(52) as PeerId, secret),
      new TypeError(secret),
    ];
    const said = errors.map(stageFailure);
    expect(said.map(({ code }) => code)).toEqual(['runtime-failed', 'link-unreachable', 'internal']);
    for (const { message } of said) {
      expect(message).not.toContain(secret);
      expect(message.length).toBeGreaterThan(10);
    }
  });

  it('is our own sentence for what was wrong with the session', () => {
    expect(stageFailure(new StageProtocolError('busy', 'at most 8 steps may wait'))).toEqual({
      code: 'busy',
      message: 'at most 8 steps may wait',
    });
    expect(stageFailure(new SessionLostError('ab' as SessionId))).toMatchObject({
      code: 'session-lost',
      message: expect.stringMatching(/open it again/) as string,
    });
  });
});
