/** Hugging Face's config.json to an architecture: Llama, Mistral, Qwen2 and Qwen3, and a typed refusal of all else. */
import { architectureSchema, type Architecture, type RopeScaling } from '@unfed/protocol';
import * as v from 'valibot';
import { UnsupportedArchitectureError } from './errors.ts';

type Config = Readonly<Record<string, unknown>>;
type Family = Architecture['family'];

const families: Readonly<Record<string, Family>> = {
  LlamaForCausalLM: 'llama',
  MistralForCausalLM: 'mistral',
  Qwen2ForCausalLM: 'qwen2',
  Qwen3ForCausalLM: 'qwen3',
};

/** What transformers takes where a Mistral config does not say. */
const mistralWindow = 4096;

/**
 * @param config config.json, parsed
 * @throws UnsupportedArchitectureError naming the field, what is supported and what came
 */
export function architectureFromConfig(config: unknown): Architecture {
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw new UnsupportedArchitectureError('the whole', 'a JSON object', typeof config);
  }
  const fields = config as Config;
  const family = familyOf(fields);
  refuseVariants(fields);
  const heads = number(fields, 'num_attention_heads');
  const width = number(fields, 'hidden_size');
  const attentionBias = family !== 'mistral' && fields['attention_bias'] === true;
  const architecture = {
    family,
    layers: number(fields, 'num_hidden_layers'),
    width,
    ffnWidth: number(fields, 'intermediate_size'),
    heads,
    kvHeads: number(fields, 'num_key_value_heads', heads),
    headSize: number(fields, 'head_dim', width / heads),
    vocabulary: number(fields, 'vocab_size'),
    contextLength: number(fields, 'max_position_embeddings'),
    normEpsilon: number(fields, 'rms_norm_eps', 1e-6),
    ropeTheta: number({ ...fields, ...ropeParameters(fields) }, 'rope_theta', 10_000),
    ropeScaling: ropeScalingOf(fields),
    slidingWindow: slidingWindowOf(fields, family),
    qkvBias: family === 'qwen2' || attentionBias,
    outputBias: family !== 'qwen2' && attentionBias,
    qkNorm: family === 'qwen3',
    tiedEmbeddings: fields['tie_word_embeddings'] === true,
  };
  const result = v.safeParse(architectureSchema, architecture, { abortEarly: true });
  if (result.success) return result.output;
  const issue = result.issues[0];
  throw new UnsupportedArchitectureError(
    v.getDotPath(issue) ?? 'the whole',
    issue.expected ?? issue.message,
    shown(issue.received),
  );
}

function familyOf({ architectures }: Config): Family {
  const name: unknown = Array.isArray(architectures) ? architectures[0] : undefined;
  const family = typeof name === 'string' && Object.hasOwn(families, name) ? families[name] : undefined;
  if (family !== undefined) return family;
  throw new UnsupportedArchitectureError('architectures', Object.keys(families).join(', '), shown(name));
}

/** Settings that change the computation in ways that no graph of ours has. */
function refuseVariants(fields: Config): void {
  const wanted: readonly [string, readonly unknown[], string][] = [
    ['hidden_act', ['silu', 'swish', undefined], 'silu'],
    ['mlp_bias', [false, null, undefined], 'false'],
    ['quantization_config', [null, undefined], 'weights that are not quantized already'],
    ['partial_rotary_factor', [1, null, undefined], '1'],
  ];
  for (const [field, allowed, supported] of wanted) {
    if (!allowed.includes(fields[field]))
      throw new UnsupportedArchitectureError(field, supported, shown(fields[field]));
  }
}

/** transformers 5 keeps everything about rotation under this name. */
function ropeParameters(fields: Config): Config {
  return asObject(fields['rope_parameters'], 'rope_parameters');
}

function ropeScalingOf(fields: Config): RopeScaling | null {
  const scaling = { ...asObject(fields['rope_scaling'], 'rope_scaling'), ...ropeParameters(fields) } as Config;
  const kind = scaling['rope_type'] ?? scaling['type'] ?? 'default';
  if (kind === 'default') return null;
  if (kind === 'linear') return { kind, factor: number(scaling, 'factor') };
  if (kind === 'llama3') {
    return {
      kind,
      factor: number(scaling, 'factor'),
      lowFrequencyFactor: number(scaling, 'low_freq_factor'),
      highFrequencyFactor: number(scaling, 'high_freq_factor'),
      originalContextLength: number(scaling, 'original_max_position_embeddings'),
    };
  }
  throw new UnsupportedArchitectureError('rope_scaling', 'none, linear or llama3', shown(kind));
}

function slidingWindowOf(fields: Config, family: Family): number | null {
  if (family === 'llama') return null;
  const window = fields['sliding_window'];
  if (family === 'mistral') return window === null ? null : number(fields, 'sliding_window', mistralWindow);
  if (fields['use_sliding_window'] !== true || window === null || window === undefined) return null;
  // The first `max_window_layers` look at everything, the others through the window: one setting a model is supported.
  const fullLayers = number(fields, 'max_window_layers', 28);
  if (fullLayers >= number(fields, 'num_hidden_layers')) return null;
  if (fullLayers === 0) return number(fields, 'sliding_window');
  throw new UnsupportedArchitectureError('max_window_layers', '0, or all layers', shown(fullLayers));
}

function number(fields: Config, field: string, fallback?: number): number {
  const value = fields[field] ?? fallback;
  if (typeof value === 'number') return value;
  throw new UnsupportedArchitectureError(field, 'a number', shown(value));
}

function asObject(value: unknown, field: string): Config {
  if (value === undefined || value === null) return {};
  if (typeof value === 'object' && !Array.isArray(value)) return value as Config;
  throw new UnsupportedArchitectureError(field, 'an object', shown(value));
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? 'nothing').slice(0, 120);
}
