import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { UnsupportedArchitectureError } from './errors.ts';
import { architectureFromConfig } from './hf-config.ts';

const llama = {
  architectures: ['LlamaForCausalLM'],
  hidden_size: 64,
  intermediate_size: 172,
  num_hidden_layers: 5,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  vocab_size: 512,
  max_position_embeddings: 512,
  rms_norm_eps: 1e-5,
  hidden_act: 'silu',
};
const as = (name: string, more: object = {}) => architectureFromConfig({ ...llama, architectures: [name], ...more });

describe('what a config means', () => {
  test('Llama: no biases, heads from the width, a head of its own', () => {
    expect(as('LlamaForCausalLM')).toEqual({
      family: 'llama',
      layers: 5,
      width: 64,
      ffnWidth: 172,
      heads: 8,
      kvHeads: 4,
      headSize: 8,
      vocabulary: 512,
      contextLength: 512,
      normEpsilon: 1e-5,
      ropeTheta: 10_000,
      ropeScaling: null,
      slidingWindow: null,
      qkvBias: false,
      outputBias: false,
      qkNorm: false,
      tiedEmbeddings: false,
    });
  });

  test('Qwen2: biases on q, k and v, whatever else is said', () => {
    expect(as('Qwen2ForCausalLM')).toMatchObject({ family: 'qwen2', qkvBias: true, outputBias: false, qkNorm: false });
  });

  test('Qwen3: norms on q and k', () => {
    expect(as('Qwen3ForCausalLM', { head_dim: 128 })).toMatchObject({ qkNorm: true, headSize: 128, qkvBias: false });
  });

  test('Llama with attention_bias: on all four projections', () => {
    expect(as('LlamaForCausalLM', { attention_bias: true })).toMatchObject({ qkvBias: true, outputBias: true });
  });

  test.each([
    ['MistralForCausalLM', {}, 4096],
    ['MistralForCausalLM', { sliding_window: null }, null],
    ['MistralForCausalLM', { sliding_window: 100 }, 100],
    ['Qwen2ForCausalLM', { sliding_window: 100 }, null],
    ['Qwen2ForCausalLM', { use_sliding_window: true, sliding_window: 100, max_window_layers: 5 }, null],
    ['Qwen2ForCausalLM', { use_sliding_window: true, sliding_window: 100, max_window_layers: 0 }, 100],
  ])('%s with %j has the window %s', (name, more, window) => {
    expect(as(name, more).slidingWindow).toBe(window);
  });

  test.each([
    [{ rope_scaling: null }, null],
    [{ rope_scaling: { type: 'linear', factor: 2 } }, { kind: 'linear', factor: 2 }],
    [{ rope_parameters: { rope_type: 'default', rope_theta: 5 } }, null],
    [
      {
        rope_scaling: {
          rope_type: 'llama3',
          factor: 32,
          low_freq_factor: 1,
          high_freq_factor: 4,
          original_max_position_embeddings: 8192,
        },
      },
      { kind: 'llama3', factor: 32, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContextLength: 8192 },
    ],
  ])('rotation of %j', (more, scaling) => {
    expect(as('LlamaForCausalLM', more).ropeScaling).toEqual(scaling);
  });

  test('rope_parameters carry theta', () => {
    expect(as('LlamaForCausalLM', { rope_parameters: { rope_theta: 5 } }).ropeTheta).toBe(5);
  });
});

describe('refused, with the field named', () => {
  test.each([
    ['architectures', { architectures: ['GPT2LMHeadModel'] }],
    ['architectures', { architectures: ['constructor'] }],
    ['architectures', { architectures: undefined }],
    ['rope_scaling', { rope_scaling: { rope_type: 'yarn', factor: 4 } }],
    ['rope_scaling', { rope_scaling: 7 }],
    ['hidden_act', { hidden_act: 'gelu' }],
    ['mlp_bias', { mlp_bias: true }],
    ['quantization_config', { quantization_config: { quant_method: 'awq' } }],
    ['partial_rotary_factor', { partial_rotary_factor: 0.5 }],
    ['hidden_size', { hidden_size: '64' }],
    ['layers', { num_hidden_layers: 100_000 }],
    ['headSize', { head_dim: 10.5 }],
    ['normEpsilon', { rms_norm_eps: 0 }],
  ])('%s: %j', (field, more) => {
    expect(() => architectureFromConfig({ ...llama, ...more })).toThrow(
      expect.objectContaining({ code: 'unsupported-architecture', field }),
    );
  });

  test('windows on some layers only', () => {
    const mixed = { use_sliding_window: true, sliding_window: 100, max_window_layers: 3 };
    expect(() => as('Qwen2ForCausalLM', mixed)).toThrow(UnsupportedArchitectureError);
  });

  test('any JSON gives an architecture or this error, never another', () => {
    const field = fc.constantFrom(
      ...Object.keys(llama),
      'rope_scaling',
      'rope_parameters',
      'sliding_window',
      'head_dim',
    );
    fc.assert(
      fc.property(fc.dictionary(field, fc.jsonValue()), fc.boolean(), (fields, onTop) => {
        try {
          architectureFromConfig(onTop ? { ...llama, ...fields } : fields);
        } catch (error) {
          expect(error).toBeInstanceOf(UnsupportedArchitectureError);
        }
      }),
    );
  });
});
