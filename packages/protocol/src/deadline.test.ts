import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startDeadline } from './deadline.ts';

const late = new Error('too late');

describe('a deadline', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('ends work when the time is over, and not before', () => {
    const { signal } = startDeadline(100, late);
    vi.advanceTimersByTime(99);
    expect(signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect(signal.reason).toBe(late);
  });

  it('ends work with the caller’s reason, also where that came first', () => {
    const caller = new AbortController();
    const running = startDeadline(100, late, caller.signal);
    const why = new Error('stopped');
    caller.abort(why);
    vi.advanceTimersByTime(100);
    expect(running.signal.reason).toBe(why);
    expect(startDeadline(100, late, caller.signal).signal.reason).toBe(why);
  });

  it('once ended, holds no timer and does not fire', () => {
    const caller = new AbortController();
    const { signal, end } = startDeadline(100, late, caller.signal);
    end();
    expect(vi.getTimerCount()).toBe(0);
    caller.abort();
    expect(signal.aborted).toBe(false);
  });
});
