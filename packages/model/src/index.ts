/** Hugging Face configs, int4 shards, ONNX span graphs, tokenizer and sampler: everything of a model but running it. */
export * from './dimensions.ts';
export * from './embedding-rows.ts';
export * from './errors.ts';
export * from './float16.ts';
export * from './hf-config.ts';
export * from './int4.ts';
export type { LayerTensorNames } from './layer-nodes.ts';
export * as modelLimits from './limits.ts';
export type { Exactness } from './matrix-node.ts';
export * from './rotary.ts';
export * from './safetensors.ts';
export * from './sampler.ts';
export * from './shard-layout.ts';
export * from './span-graph.ts';
export * from './stream-decoder.ts';
export * from './tokenizer.ts';
export * from './weight-sources.ts';
