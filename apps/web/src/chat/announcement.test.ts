import { describe, expect, it } from 'vitest';
import { newTurn, type Turn } from '../state/conversation.ts';
import { announcement } from './announcement.ts';

const turn = (part: Partial<Turn>): Turn => ({ ...newTurn(0, 'q'), ...part });
const answering = { kind: 'answering', note: '', part: undefined } as const;

describe('announcement', () => {
  it('stays the same while an answer streams', () => {
    const said = ['', 'The', 'The capital'].map((answer) => announcement(turn({ answer, state: answering })));
    expect(new Set(said).size).toBe(1);
  });

  it('says the whole answer when it is done', () => {
    expect(announcement(turn({ answer: 'The capital is Paris.', state: { kind: 'done' } }))).toBe(
      'The capital is Paris.',
    );
  });

  it('says an error as a sentence', () => {
    const state = { kind: 'failed', code: 'no-route', message: 'nobody serves layers 4–5 of demo' } as const;
    expect(announcement(turn({ state }))).toBe('No answer: nobody serves layers 4–5 of demo.');
    expect(announcement(turn({ answer: 'half', state }))).toContain('What was written is kept');
  });
});
