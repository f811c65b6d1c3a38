import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StepWindow, type WaitingStep } from './circuit-steps.ts';

function stepOf(cells: number, reject: (error: Error) => void = () => undefined): WaitingStep {
  const nothing = new Uint8Array(0);
  return {
    message: nothing,
    padded: false,
    cells,
    rows: 1,
    resolve: () => undefined,
    reject,
    expires: setTimeout(() => undefined),
  };
}

describe('the window of a circuit (C19)', () => {
  it('never has more cells under way, keeps the order, and sends every step', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.integer({ min: 1, max: 8 }), fc.constant('result' as const))), (events) => {
        const sent: WaitingStep[] = [];
        const window = new StepWindow(8, (step) => sent.push(step));
        const pushed: WaitingStep[] = [];
        const done: WaitingStep[] = [];
        for (const event of [...events, ...events.map(() => 'result' as const)]) {
          if (event === 'result') {
            const step = window.shift();
            if (step !== undefined) done.push(step);
          } else {
            const step = stepOf(event);
            pushed.push(step);
            window.push(step);
          }
          const underWay = sent.filter((step) => !done.includes(step));
          expect(underWay.reduce((sum, { cells }) => sum + cells, 0)).toBeLessThanOrEqual(8);
        }
        expect(sent).toEqual(pushed);
        expect(done).toEqual(pushed);
        expect(window.shift()).toBeUndefined();
      }),
    );
  });

  it('rejects all that wait, sent or not', () => {
    const errors: Error[] = [];
    const window = new StepWindow(1, () => undefined);
    for (let i = 0; i < 3; i++) window.push(stepOf(1, (error) => errors.push(error)));
    const over = new Error('over');
    window.rejectAll(over);
    expect(errors).toEqual([over, over, over]);
    expect(window.shift()).toBeUndefined();
  });
});
