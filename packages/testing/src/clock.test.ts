import { describe, expect, it } from 'vitest';
import { RealClock, VirtualClock, VirtualDeadlockError } from './clock.ts';

describe('virtual clock', () => {
  it('stands still until it is moved', async () => {
    const clock = new VirtualClock(5);
    let rang = false;
    clock.after(10, () => {
      rang = true;
    });
    await clock.advance(9);
    expect([clock.now(), rang]).toEqual([14, false]);
    await clock.advance(1);
    expect([clock.now(), rang]).toEqual([15, true]);
  });

  it('runs callbacks by due time, then by order of calls', async () => {
    const clock = new VirtualClock();
    const order: string[] = [];
    clock.after(20, () => order.push('c'));
    clock.after(10, () => order.push('a'));
    clock.after(20, () => order.push('d'));
    clock.after(10, () => order.push('b'));
    const cancel = clock.after(15, () => order.push('never'));
    cancel();
    await clock.advance(100);
    expect(order).toEqual(['a', 'b', 'c', 'd']);
  });

  it('lets all promises that follow from one callback settle before the next', async () => {
    const clock = new VirtualClock();
    const seen: number[] = [];
    const walk = async (): Promise<void> => {
      for (let i = 0; i < 3; i++) {
        await clock.sleep(10);
        seen.push(clock.now());
      }
    };
    await clock.until(walk());
    expect(seen).toEqual([10, 20, 30]);
  });

  it('says so when nothing can settle what is awaited', async () => {
    const clock = new VirtualClock(0, 5);
    clock.after(5, () => clock.after(1, () => undefined));
    const heartbeat = (): void => void clock.after(60_000, heartbeat);
    await clock.advance(10);
    heartbeat();
    await expect(clock.until(new Promise(() => undefined))).rejects.toBeInstanceOf(VirtualDeadlockError);
  });

  it('sleeps until the signal aborts', async () => {
    for (const clock of [new VirtualClock(), new RealClock()]) {
      const controller = new AbortController();
      const sleeping = clock.sleep(1_000_000, controller.signal);
      controller.abort(new Error('enough'));
      await expect(sleeping).rejects.toThrow('enough');
      await expect(clock.sleep(1, controller.signal)).rejects.toThrow('enough');
    }
  });
});
