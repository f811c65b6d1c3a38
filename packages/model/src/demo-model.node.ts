/** The demo model's shards, made from the folder that the project carries. */
import { fileURLToPath } from 'node:url';
import { addModel } from './add-model.node.ts';
import type { ModelFolder } from './model-folder.node.ts';

/** `models/demo` at the project's root. */
export const demoModelFolder = fileURLToPath(new URL('../../../models/demo', import.meta.url));

/** Makes the demo model's shards under `out`, the same bytes each time. Called again, it checks and keeps what is there. */
export function ensureDemoModel(out: string, options: { readonly signal?: AbortSignal } = {}): Promise<ModelFolder> {
  return addModel({
    folder: demoModelFolder,
    out,
    quantize: 'int4',
    name: 'demo',
    license: 'Apache-2.0',
    source: 'models/demo',
    ...options,
  });
}
