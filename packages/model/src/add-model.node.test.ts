import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { embeddingShard, encodeManifest, hashManifest, layerShard, shardFileName, type ShardId } from '@unfed/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addModel, type AddModelOptions, type AddProgress } from './add-model.node.ts';
import { demoModelFolder, ensureDemoModel } from './demo-model.node.ts';
import { checkShards, openModelFolder } from './model-folder.node.ts';

let scratch = '';
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'unfed-add-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

const weightsFile = 'model.safetensors';

/** The demo's folder with links to what stays and copies of what a test changes. */
async function changedDemo(name: string, change: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(scratch, name);
  await mkdir(folder);
  for (const file of [
    'tokenizer.json',
    'tokenizer_config.json',
    'generation_config.json',
    'config.json',
    weightsFile,
  ]) {
    await symlink(join(demoModelFolder, file), join(folder, file));
  }
  await change(folder);
  return folder;
}

/** Replaces a link by a file of its own. */
async function replace(folder: string, file: string, bytes: Uint8Array | string): Promise<void> {
  await rm(join(folder, file));
  await writeFile(join(folder, file), bytes);
}

async function changeConfig(folder: string, fields: object): Promise<void> {
  const config: object = JSON.parse(await readFile(join(demoModelFolder, 'config.json'), 'utf8'));
  await replace(folder, 'config.json', JSON.stringify({ ...config, ...fields }));
}

/** The demo's weights with another header of the same meaning of lengths. */
async function changeHeader(
  folder: string,
  change: (header: Record<string, { shape: number[]; dtype: string }>) => void,
) {
  const file = await readFile(join(demoModelFolder, weightsFile));
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, 8 + length).toString()) as Record<
    string,
    { shape: number[]; dtype: string }
  >;
  change(header);
  const json = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(json.byteLength));
  await replace(folder, weightsFile, Buffer.concat([prefix, json, file.subarray(8 + length)]));
}

const add = (folder: string, out: string, options: Partial<AddModelOptions> = {}) =>
  addModel({ folder, out: join(scratch, out), quantize: 'int4', name: 'demo', ...options });

describe('adding a model', () => {
  test('gives the same bytes each time, wherever it is done', async () => {
    const [one, two] = [await ensureDemoModel(join(scratch, 'same-1')), await ensureDemoModel(join(scratch, 'same-2'))];
    expect(two.hash).toBe(one.hash);
    for (const file of await readdir(one.folder)) {
      const equal = (await readFile(join(one.folder, file))).equals(await readFile(join(two.folder, file)));
      expect(equal, file).toBe(true);
    }
  });

  test('keeps a folder that is whole, and replaces one that lost a byte', async () => {
    const out = join(scratch, 'again');
    const { folder, hash } = await ensureDemoModel(out);
    const shard = join(folder, shardFileName(layerShard(3)));
    const bytes = await readFile(shard);
    await writeFile(shard, bytes.subarray(1));
    await expect(openModelFolder(folder)).rejects.toThrow(
      `expected ${bytes.byteLength} bytes, came ${bytes.byteLength - 1}`,
    );
    expect((await ensureDemoModel(out)).hash).toBe(hash);
    expect((await readFile(shard)).equals(bytes)).toBe(true);
    expect(await readdir(out)).toEqual([hash]);
  });

  test('replaces a folder with one changed byte in a shard', async () => {
    const out = join(scratch, 'changed');
    const { folder } = await ensureDemoModel(out);
    const shard = join(folder, shardFileName(layerShard(3)));
    const bytes = await readFile(shard);
    const changed = Buffer.from(bytes);
    changed[1000] ^= 1;
    await writeFile(shard, changed);
    await expect(checkShards(await openModelFolder(folder))).rejects.toMatchObject({ code: 'hash-mismatch' });
    await ensureDemoModel(out);
    expect((await readFile(shard)).equals(bytes)).toBe(true);
  });

  test('reports progress that rises to the whole', async () => {
    const reports: AddProgress[] = [];
    await add(demoModelFolder, 'progress', { onProgress: (progress) => reports.push(progress) });
    const bytes = reports.map((report) => report.bytes);
    expect(bytes).toEqual([...bytes].sort((a, b) => a - b));
    expect(reports.at(-1)).toMatchObject({ bytes: reports[0].bytesTotal, shard: 'head' });
  });

  test('stops when asked, and leaves nothing', async () => {
    const stop = new AbortController();
    const adding = add(demoModelFolder, 'stopped', {
      signal: stop.signal,
      onProgress: () => stop.abort(new Error('enough')),
    });
    await expect(adding).rejects.toThrow('enough');
    expect(await readdir(join(scratch, 'stopped'))).toEqual([]);
  });

  test('removes what a run that died left, and not what a running one writes', async () => {
    const out = join(scratch, 'abandoned');
    const { stdout } = await promisify(execFile)(process.execPath, ['-p', 'process.pid']);
    const dead = `.partial-${stdout.trim()}-x`;
    const alive = `.partial-${process.pid}-x`;
    for (const name of [dead, alive]) await mkdir(join(out, name), { recursive: true });
    const { hash } = await ensureDemoModel(out);
    expect((await readdir(out)).sort()).toEqual([alive, hash].sort());
  });

  test('reads weights by an index, and a chat template from a file of its own', async () => {
    const template = '{{ messages[0].content }}';
    const folder = await changedDemo('indexed', async (target) => {
      const file = await readFile(join(demoModelFolder, weightsFile));
      const length = Number(file.readBigUInt64LE(0));
      const header = JSON.parse(file.subarray(8, 8 + length).toString()) as object;
      const names = Object.keys(header).filter((name) => name !== '__metadata__');
      await rm(join(target, weightsFile));
      await cp(join(demoModelFolder, weightsFile), join(target, 'part-1.safetensors'));
      const index = { weight_map: Object.fromEntries(names.map((name) => [name, 'part-1.safetensors'])) };
      await writeFile(join(target, 'model.safetensors.index.json'), JSON.stringify(index));
      await replace(target, 'tokenizer_config.json', '{}');
      await writeFile(join(target, 'chat_template.jinja'), template);
    });
    const indexed = await add(folder, 'indexed-out');
    const demo = await ensureDemoModel(join(scratch, 'same-1'));
    expect(indexed.manifest.shards).toEqual(demo.manifest.shards);
    const tokenizerConfig = await readFile(join(indexed.folder, 'tokenizer_config.json'), 'utf8');
    expect(JSON.parse(tokenizerConfig)).toEqual({ chat_template: template });
  });
});

describe('refused, with nothing left behind', () => {
  interface Refusal {
    readonly name: string;
    readonly code: string;
    readonly message: RegExp;
    readonly change: (folder: string) => Promise<void>;
  }
  const refusals: readonly Refusal[] = [
    {
      name: 'truncated weights',
      code: 'decode',
      message: /model\.safetensors cannot be decoded: expected \d+ bytes by its header, came \d+ bytes/,
      change: async (folder) =>
        replace(folder, weightsFile, (await readFile(join(demoModelFolder, weightsFile))).subarray(0, -1000)),
    },
    {
      name: 'no weights',
      code: 'model-folder',
      message: /model\.safetensors: expected a file of weights/,
      change: (folder) => rm(join(folder, weightsFile)),
    },
    {
      name: 'no tokenizer',
      code: 'model-folder',
      message: /tokenizer\.json: expected a file, came none/,
      change: (folder) => rm(join(folder, 'tokenizer.json')),
    },
    {
      name: 'no config',
      code: 'model-folder',
      message: /config\.json: expected a file, came none/,
      change: (folder) => rm(join(folder, 'config.json')),
    },
    {
      name: 'a config that is no JSON',
      code: 'decode',
      message: /JSON in UTF-8/,
      change: (folder) => replace(folder, 'config.json', '{'),
    },
    {
      name: 'another architecture',
      code: 'unsupported-architecture',
      message: /LlamaForCausalLM, .*came "MambaForCausalLM"/,
      change: (folder) => changeConfig(folder, { architectures: ['MambaForCausalLM'] }),
    },
    {
      name: 'a tensor of another shape',
      code: 'model-folder',
      message: /q_proj\.weight\): expected \[192, 192\], came \[384, 96\]/,
      change: (folder) =>
        changeHeader(folder, (header) => void (header['model.layers.0.self_attn.q_proj.weight'].shape = [384, 96])),
    },
    {
      name: 'a tensor of whole numbers',
      code: 'decode',
      message: /expected F32, F16 or BF16, came I16/,
      change: (folder) =>
        changeHeader(folder, (header) => void (header['model.layers.0.self_attn.q_proj.weight'].dtype = 'I16')),
    },
    {
      name: 'fewer layers in the config than in the weights',
      code: 'model-folder',
      message: /model\.layers\.7\..*expected a tensor of a llama as config\.json has it, came one more/,
      change: (folder) => changeConfig(folder, { num_hidden_layers: 7 }),
    },
    {
      name: 'more layers in the config than in the weights',
      code: 'model-folder',
      message: /model\.layers\.8\..*expected a tensor of this name/,
      change: (folder) => changeConfig(folder, { num_hidden_layers: 9 }),
    },
    {
      name: 'an untied head that is not there',
      code: 'model-folder',
      message: /lm_head\.weight\): expected a tensor of this name/,
      change: (folder) => changeConfig(folder, { tie_word_embeddings: false }),
    },
    {
      name: 'an index that leads out of the folder',
      code: 'model-folder',
      message: /names of \.safetensors files beside it, came \.\.\/x\.safetensors/,
      change: (folder) =>
        writeFile(join(folder, 'model.safetensors.index.json'), '{"weight_map":{"a":"../x.safetensors"}}'),
    },
    {
      name: 'an index of tensors that a file lacks',
      code: 'model-folder',
      message: /expected the tensor a, by the index, came none/,
      change: (folder) =>
        writeFile(join(folder, 'model.safetensors.index.json'), `{"weight_map":{"a":"${weightsFile}"}}`),
    },
  ];
  test.each(refusals)('$name', async ({ name, code, message, change }) => {
    const folder = await changedDemo(name, change);
    const error: unknown = await add(folder, `${name} out`).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
    const left = await readdir(join(scratch, `${name} out`)).catch(() => []);
    expect(left).toEqual([]);
  });
});

describe('a finished folder', () => {
  async function demoCopy(name: string): Promise<{ folder: string; hash: string }> {
    const { folder, hash } = await ensureDemoModel(join(scratch, 'same-1'));
    await cp(folder, join(scratch, name, hash), { recursive: true });
    return { folder: join(scratch, name, hash), hash };
  }

  test('is refused under another name than its hash', async () => {
    const { folder } = await demoCopy('renamed');
    await cp(folder, join(scratch, 'renamed', 'demo'), { recursive: true });
    await expect(openModelFolder(join(scratch, 'renamed', 'demo'))).rejects.toMatchObject({ code: 'hash-mismatch' });
  });

  test.each(['tokenizer.json', 'config.json'])('is refused with a changed byte in %s', async (file) => {
    const { folder } = await demoCopy(`changed-${file}`);
    const bytes = await readFile(join(folder, file));
    bytes[5] ^= 1;
    await writeFile(join(folder, file), bytes);
    await expect(openModelFolder(folder)).rejects.toMatchObject({ code: 'hash-mismatch' });
  });

  test('is refused without a shard', async () => {
    const { folder } = await demoCopy('without');
    await rm(join(folder, shardFileName(embeddingShard)));
    await expect(openModelFolder(folder)).rejects.toMatchObject({ code: 'model-folder' });
  });

  test('is refused when its manifest lies about a size', async () => {
    const { manifest } = await openModelFolder((await demoCopy('lie')).folder);
    const shards = manifest.shards.map((shard) =>
      shard.id === ('layer-2' as ShardId) ? { ...shard, bytes: shard.bytes + 1 } : shard,
    );
    const bytes = encodeManifest({ ...manifest, shards });
    const folder = join(scratch, 'lie', hashManifest(bytes));
    await mkdir(folder);
    await writeFile(join(folder, 'manifest.cbor'), bytes);
    await expect(openModelFolder(folder)).rejects.toMatchObject({ code: 'manifest-size', shard: 'layer-2' });
  });
});
