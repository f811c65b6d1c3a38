/** Our own GPU device: with the adapter's greatest limits, and with subgroups only where the self-test passes with them. */
import { errorText } from '@unfed/protocol';
import { BackendUnavailableError } from './errors.ts';

/** What a page learns before it starts a worker. */
export type AdapterVerdict =
  | { readonly kind: 'none'; readonly reason: string }
  /** The browser computes on the CPU and calls it a GPU: right at best, never fast. */
  | { readonly kind: 'fallback' }
  | { readonly kind: 'gpu'; readonly subgroups: boolean };

/** onnxruntime compiles other kernels for devices with these, and on some devices those are wrong. */
const subgroupFeatures: readonly string[] = ['subgroups', 'subgroup-size-control'];
/** What its kernels may use besides. */
const plainFeatures: readonly string[] = ['shader-f16'];

async function requestAdapter(): Promise<GPUAdapter | null> {
  return navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
}

export async function probeAdapter(): Promise<AdapterVerdict> {
  // Typed as always there; older browsers, and pages that are no secure context, lack it.
  if (!('gpu' in navigator)) return { kind: 'none', reason: 'no WebGPU here' };
  try {
    const adapter = await requestAdapter();
    if (adapter === null) return { kind: 'none', reason: 'WebGPU finds no GPU here' };
    if (adapter.info.isFallbackAdapter) return { kind: 'fallback' };
    return { kind: 'gpu', subgroups: adapter.features.has('subgroups') };
  } catch (error) {
    return { kind: 'none', reason: `WebGPU does not start here: ${errorText(error)}` };
  }
}

/** @throws BackendUnavailableError */
export async function requestDevice({ subgroups }: { subgroups: boolean }): Promise<GPUDevice> {
  if (!('gpu' in navigator)) throw new BackendUnavailableError('webgpu', 'no WebGPU here');
  try {
    const adapter = await requestAdapter();
    if (adapter === null) throw new BackendUnavailableError('webgpu', 'WebGPU finds no GPU here');
    const useful = subgroups ? [...plainFeatures, ...subgroupFeatures] : plainFeatures;
    const features = [...adapter.features].filter((feature) => useful.includes(feature)) as GPUFeatureName[];
    return await adapter.requestDevice({ requiredFeatures: features, requiredLimits: greatestLimits(adapter.limits) });
  } catch (error) {
    if (error instanceof BackendUnavailableError) throw error;
    throw new BackendUnavailableError('webgpu', `WebGPU gives no device: ${errorText(error)}`, { cause: error });
  }
}

/** The limits are getters on the object's prototype. */
function greatestLimits(limits: GPUSupportedLimits): Record<string, number> {
  const greatest: Record<string, number> = {};
  for (const name in limits) {
    const value: unknown = limits[name as keyof GPUSupportedLimits];
    if (typeof value === 'number') greatest[name] = value;
  }
  return greatest;
}
