/** `unfed model add`: a Hugging Face folder to shards and a manifest. */
import { parseArgs } from 'node:util';
import { addModel, type AddModelOptions } from '@unfed/model/node';
import { errorText } from '@unfed/protocol';
import { progressBar } from './progress-bar.ts';
import type { Terminal } from './terminal.ts';
import { UsageError } from './usage.ts';

export const addModelHelp = `Usage: unfed model add FOLDER --out DIR [options]

Reads a Hugging Face folder (config.json, safetensors in one file or by index, tokenizer.json, tokenizer_config.json,
generation_config.json) of a Llama, Mistral, Qwen2 or Qwen3, and writes DIR/<manifest hash>/ with one shard a layer,
one for the embedding, one for the head, and the manifest. The same folder gives the same bytes each time.

Options:
  --out DIR              where the new folder goes
  --quantize int4|none   int4: 4 bits, blocks of 32, fp16 scales (default); none: floats, for reference
  --name NAME            the name that people see (default: the folder's)
  --license TEXT         the weights' licence, as SPDX has it
  --source TEXT          where the weights came from
  --json                 print one line of JSON instead of text; no progress
  --help                 this text
`;

const options = {
  out: { type: 'string' },
  quantize: { type: 'string', default: 'int4' },
  name: { type: 'string' },
  license: { type: 'string' },
  source: { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** @throws UsageError, and whatever `addModel` throws */
export async function addModelCommand(args: readonly string[], terminal: Terminal, signal: AbortSignal): Promise<void> {
  const { values, positionals } = parse(args);
  if (values.help) return terminal.out(addModelHelp);
  const bar = values.json ? undefined : progressBar(terminal);
  const { out, quantize } = values;
  const [folder, ...rest] = positionals;
  if (folder === undefined || rest.length > 0) {
    throw new UsageError(`expected one FOLDER, came ${positionals.length}`, addModelHelp);
  }
  if (out === undefined) throw new UsageError('expected --out DIR, came none', addModelHelp);
  if (quantize !== 'int4' && quantize !== 'none') {
    throw new UsageError(`--quantize: expected int4 or none, came ${quantize}`, addModelHelp);
  }
  const job: AddModelOptions = {
    folder,
    out,
    quantize,
    signal,
    ...(values.name === undefined ? {} : { name: values.name }),
    ...(values.license === undefined ? {} : { license: values.license }),
    ...(values.source === undefined ? {} : { source: values.source }),
    onProgress: ({ bytes, bytesTotal, shard }) => bar?.show(bytes / bytesTotal, shard),
  };
  try {
    const { hash, manifest, folder: made } = await addModel(job);
    bar?.end();
    const bytes = manifest.shards.reduce((sum, shard) => sum + shard.bytes, 0);
    const { name, quantization, shards, architecture } = manifest;
    if (values.json) {
      const { family, layers, width } = architecture;
      const result = {
        manifest: hash,
        folder: made,
        name,
        quantization,
        family,
        layers,
        width,
        shards: shards.length,
        bytes,
      };
      terminal.out(`${JSON.stringify(result)}\n`);
    } else {
      terminal.out(`${name}: ${shards.length} shards, ${(bytes / 1e6).toFixed(1)} MB, ${quantization}\n${made}\n`);
    }
  } finally {
    bar?.end();
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (cause) {
    throw new UsageError(errorText(cause), addModelHelp, { cause });
  }
}
