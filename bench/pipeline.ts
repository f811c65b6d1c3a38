/**
 * `npm run bench -- pipeline`: what cutting a model into stages costs. Qwen2.5-0.5B's shape, random int4 weights, float32
 * activations, onnxruntime-node on one thread a process.
 */
import { parseArgs } from 'node:util';
import { benchFourProcesses } from './pipeline-four-processes.ts';
import { benchInProcess } from './pipeline-in-process.ts';

export async function bench(args: readonly string[]): Promise<object> {
  const { values } = parseArgs({ args: [...args], options: { rounds: { type: 'string', default: '5' } } });
  const inProcess = await benchInProcess();
  const processes = await benchFourProcesses({ rounds: Number(values.rounds) });
  return {
    ...inProcess,
    ...processes,
    precision: 'int4 weights, float32 activations',
    comparison: 'the Python proof of concept of this idea reports 9.5 tokens/s, in float32, over four local processes',
  };
}
