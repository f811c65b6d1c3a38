import { describe, expect, it } from 'vitest';
import { Calls } from './calls.ts';

describe('calls to a worker', () => {
  it('a call that was answered, well or badly, is not held any more', async () => {
    const calls = new Calls();
    expect(await calls.until(Promise.resolve(1))).toBe(1);
    await expect(calls.until(Promise.reject(new RangeError('bad')))).rejects.toThrow('bad');
    const late = calls.until(Promise.resolve(2));
    expect(calls.waiting).toBe(1);
    await late;
    await Promise.resolve();
    expect(calls.waiting).toBe(0);
  });

  it('the end fails every call that waits and every one that comes, with the first reason', async () => {
    const calls = new Calls();
    const never = new Promise<never>(() => undefined);
    const waiting = [calls.until(never), calls.until(never)];
    calls.end(new Error('the worker died'));
    calls.end(new Error('again'));
    for (const call of [...waiting, calls.until(never)]) await expect(call).rejects.toThrow('the worker died');
    expect(calls.waiting).toBe(0);
  });

  it('an answer that fails after the end is nobody’s, and no unhandled rejection', async () => {
    const calls = new Calls();
    let fail: (reason: Error) => void = () => undefined;
    const call = calls.until(new Promise<never>((_, reject) => (fail = reject)));
    calls.end(new Error('the worker died'));
    await expect(call).rejects.toThrow('the worker died');
    fail(new Error('too late'));
    await new Promise((resolve) => setTimeout(resolve));
  });
});
