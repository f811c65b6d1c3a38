/** Hugging Face configs, int4 shards, ONNX span graphs, tokenizer and sampler: everything of a model but running it. */
export * from './dimensions.ts';
export * from './embedding-rows.ts';
export * from './errors.ts';
export * from './float16.ts';
export * from './int4.ts';
export type { LayerTensorNames } from './layer-nodes.ts';
export * as modelLimits from './limits.ts';
export type { Exactness } from './matrix-node.ts';
export * from './rotary.ts';
export * from './shard-layout.ts';
export * from './span-graph.ts';
