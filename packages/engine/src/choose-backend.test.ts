import { describe, expect, it } from 'vitest';
import { chooseBackend, type Attempt } from './choose-backend.ts';
import { BackendUnavailableError } from './errors.ts';
import type { Runtime } from './runtime.ts';
import { createCpuRuntime } from './runtime-cpu.node.ts';
import { selfTest } from './self-test.ts';

/** The CPU, but rows from `position` on are a little off and no error says so: what wrong GPU devices do. */
function faultyRuntime(position: number): Runtime {
  const runtime = createCpuRuntime();
  return {
    ...runtime,
    backend: 'webgpu',
    async readRows(tensor, rows, width) {
      const data = await runtime.readRows(tensor, rows, width);
      return rows > position ? data.map((value, i) => (i === position * width ? value + 0.5 : value)) : data;
    },
  };
}

const attempt = (runtime: Runtime): Attempt<Runtime> => ({
  backend: runtime.backend,
  async start() {
    await selfTest(runtime);
    return runtime;
  },
});

describe('choosing a backend', () => {
  it.each([0, 18, 39])(
    'a wrong number at position %i moves on to the next backend, and the note says so',
    async (position) => {
      const attempts = [attempt(faultyRuntime(position)), attempt(createCpuRuntime())];
      const { started, note } = await chooseBackend(attempts, {});
      expect(started.backend).toBe('node-cpu');
      expect(note).toMatch(/^the self-test failed on webgpu: a difference of 0\.\d+$/);
    },
  );

  it('a backend that gives NaN does not pass', async () => {
    const runtime = createCpuRuntime();
    const faulty: Runtime = {
      ...runtime,
      readRows: async (_, rows, width) => new Float32Array(rows * width).fill(NaN),
    };
    await expect(selfTest(faulty)).rejects.toMatchObject({ code: 'self-test-failed', difference: Infinity });
  });

  it('the first that passes serves, without a note, and the rest is not started', async () => {
    const never: Attempt<Runtime> = { backend: 'wasm', start: () => Promise.reject(new Error('was started')) };
    const { started, note } = await chooseBackend([attempt(createCpuRuntime()), never], {});
    expect([started.backend, note]).toEqual(['node-cpu', '']);
  });

  it('the last error is thrown when none serves', async () => {
    const unavailable = (reason: string): Attempt<Runtime> => ({
      backend: 'wasm',
      start: () => Promise.reject(new BackendUnavailableError('wasm', reason)),
    });
    await expect(chooseBackend([unavailable('a'), unavailable('b')], {})).rejects.toMatchObject({ reason: 'b' });
  });

  it('an error that is no verdict on a backend ends the search', async () => {
    const broken: Attempt<Runtime> = { backend: 'webgpu', start: () => Promise.reject(new TypeError('a mistake')) };
    await expect(chooseBackend([broken, attempt(createCpuRuntime())], {})).rejects.toThrow(TypeError);
  });

  it('the signal ends the search', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(chooseBackend([attempt(createCpuRuntime())], { signal })).rejects.toThrow('enough');
  });
});
