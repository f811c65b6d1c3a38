import type { Link, SessionId, Step } from '@unfed/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as limits from './limits.ts';
import { StepBudget, StepQueue } from './step-queue.ts';

const link = (name: string) => ({ peer: name }) as unknown as Link;

function stepOf(number: number, bytes: number): Step {
  const fixed = { kind: 'step', tokens: 1, wants: 'last', precision: 'f32', deadlineMs: 0, position: 0 } as const;
  return { ...fixed, session: 's' as SessionId, number, payload: { byteLength: bytes } as Uint8Array };
}

describe('the budget of steps that wait (S16)', () => {
  it('holds no more than its limits, in all and by link, whatever is taken and given back', () => {
    const links = ['a', 'b', 'c', 'd', 'e', 'f'].map(link);
    const take = fc.record({ of: fc.nat(links.length - 1), bytes: fc.integer({ min: 1, max: 4 << 20 }) });
    fc.assert(
      fc.property(fc.array(fc.oneof(take, fc.constant('give' as const)), { maxLength: 120 }), (events) => {
        const budget = new StepBudget();
        const held: { link: Link; bytes: number }[] = [];
        const sum = (of: Link) => held.filter((one) => one.link === of).reduce((all, { bytes }) => all + bytes, 0);
        for (const event of events) {
          if (event === 'give') {
            const first = held.shift();
            if (first !== undefined) budget.give(first.link, first.bytes);
            continue;
          }
          const of = links[event.of];
          const fits =
            sum(of) + event.bytes <= limits.stepBytesQueuedPerLinkMax &&
            budget.bytes + event.bytes <= limits.stepBytesQueuedMax;
          expect(budget.take(of, event.bytes)).toBe(fits);
          if (fits) held.push({ link: of, bytes: event.bytes });
        }
        expect(budget.bytes).toBe(held.reduce((all, { bytes }) => all + bytes, 0));
      }),
    );
  });
});

describe('the steps of a session (S6)', () => {
  it('run in order, and those that wait when it ends are never computed', async () => {
    const budget = new StepBudget();
    const computed: number[] = [];
    const delivered: number[] = [];
    const queue = new StepQueue(budget, {
      compute: async ({ step }) => {
        await Promise.resolve();
        computed.push(step.number);
        if (step.number === 3) queue.clear();
        return Uint8Array.of(step.number);
      },
      deliver: async ([number]) => void delivered.push(number),
    });
    const from = link('a');
    for (let number = 0; number < 6; number++) queue.push({ step: stepOf(number, 10), link: from, arrivedMs: 0 });
    await new Promise((resolve) => setTimeout(resolve));
    expect([computed, delivered]).toEqual([
      [0, 1, 2, 3],
      [0, 1, 2, 3],
    ]);
    expect(budget.bytes).toBe(0);
    expect(queue.push({ step: stepOf(6, 10), link: from, arrivedMs: 0 })).toBeUndefined();
    await new Promise((resolve) => setTimeout(resolve));
    expect(computed).toEqual([0, 1, 2, 3, 6]);
  });
});
