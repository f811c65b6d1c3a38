import { test } from 'vitest';
import * as ort from 'onnxruntime-node';
import { randomShard } from './random-shards.ts';
import { spanGraph } from '@unfed/model';
import { seededRandom } from './random.ts';
const a = {
  family: 'llama',
  layers: 8,
  width: 192,
  ffnWidth: 512,
  heads: 6,
  kvHeads: 2,
  headSize: 32,
  vocabulary: 2048,
  contextLength: 384,
  normEpsilon: 1e-5,
  ropeTheta: 1e4,
  ropeScaling: null,
  slidingWindow: null,
  qkvBias: true,
  outputBias: false,
  qkNorm: false,
  tiedEmbeddings: true,
} as const;
async function run(first: number, last: number, x: Float32Array, arch: any) {
  const g = spanGraph(arch, 'int4', { first, last });
  const s = await ort.InferenceSession.create(g.model, {
    intraOpNumThreads: 1,
    externalData: g.externalFiles.map((f) => ({
      path: f.path,
      data: randomShard({ architecture: arch, quantization: 'int4', seed: 1 }, f.shard),
    })),
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  } as any);
  const T = x.length / arch.width;
  const feeds: any = {
    hidden: new ort.Tensor('float32', x, [1, T, arch.width]),
    seqlens_k: new ort.Tensor('int32', new Int32Array([T - 1]), [1]),
    total_sequence_length: new ort.Tensor('int32', new Int32Array([T]), [1]),
  };
  for (const c of g.caches) {
    feeds[c.pastKey] = new ort.Tensor('float32', new Float32Array(0), [1, arch.kvHeads, 0, g.cacheHeadSize]);
    feeds[c.pastValue] = feeds[c.pastKey];
  }
  const out = await s.run(feeds);
  console.log(first, last, g.model.length, [...s.inputNames].join() === g.inputs.join());
  return out.hidden_out!.data as Float32Array;
}
for (const qkNorm of [false, true])
  test(
    'cuts ' + qkNorm,
    async () => {
      const arch = { ...a, qkNorm };
      const r = seededRandom(5);
      const x = Float32Array.from({ length: 40 * 192 }, () => 2 * r() - 1);
      const whole = await run(0, 8, x, arch);
      for (const n of [2, 4, 8]) {
        let y = x;
        for (let i = 0; i < n; i++) y = await run((i * 8) / n, ((i + 1) * 8) / n, y, arch);
        let d = 0;
        for (let i = 0; i < y.length; i++) d = Math.max(d, Math.abs(y[i]! - whole[i]!));
        console.log('stages', n, 'diff', d, whole[5]);
      }
    },
    60000,
  );
