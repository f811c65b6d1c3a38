import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { LocalEngine } from './local-engine.ts';
import { createCpuRuntime } from './runtime-cpu.node.ts';
import { suiteShards, suiteSpec } from './span-runner.suite.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

it('what was disposed of is not kept by its engine', async () => {
  const engine = new LocalEngine(createCpuRuntime(), '');
  const spec = suiteSpec({ first: 0, last: 1 });
  const loaded = async (): Promise<WeakRef<object>[]> => {
    const [runner, ends] = [await engine.loadSpan(spec, suiteShards), await engine.loadEnds(spec, suiteShards)];
    await runner.dispose();
    await ends.dispose();
    return [new WeakRef(runner), new WeakRef(ends)];
  };
  const disposed = await loaded();
  await new Promise((resolve) => setTimeout(resolve));
  collectGarbage();
  expect(disposed.map((each) => each.deref())).toEqual([undefined, undefined]);
  await engine.dispose();
});
