/** Reads a Hugging Face folder: its JSON files whole, its weights by rows, never a whole model in memory. */
import { open, readFile, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { DecodeError, limits as protocolLimits } from '@unfed/protocol';
import { ModelFolderError } from './errors.ts';
import * as limits from './limits.ts';
import {
  parseJsonObject,
  parseSafetensorsHeader,
  safetensorsHeaderBytes,
  widenFloats,
  type TensorEntry,
} from './safetensors.ts';

interface Located {
  readonly entry: TensorEntry;
  readonly file: FileHandle;
}

/** The weights of a folder. Close it. */
export class Checkpoint {
  readonly #tensors = new Map<string, Located>();
  readonly #files: FileHandle[] = [];

  /** @throws ModelFolderError (no weights, an index that lies), DecodeError (a header that lies, a truncated file) */
  static async open(folder: string): Promise<Checkpoint> {
    const checkpoint = new Checkpoint();
    try {
      for (const [name, wanted] of await weightFiles(folder)) await checkpoint.#addFile(folder, name, wanted);
    } catch (error) {
      await checkpoint.close();
      throw error;
    }
    return checkpoint;
  }

  get names(): IterableIterator<string> {
    return this.#tensors.keys();
  }

  /**
   * @param shape what the architecture expects
   * @throws ModelFolderError when the tensor is missing or has another shape
   */
  check(name: string, shape: readonly number[]): void {
    const { entry } = this.#find(name);
    if (entry.shape.length === shape.length && entry.shape.every((size, i) => size === shape[i])) return;
    throw new ModelFolderError(`weights (${name})`, `[${shape.join(', ')}]`, `[${entry.shape.join(', ')}]`);
  }

  /** @returns rows `[from, from + count)` of a matrix, or numbers of a vector, as f32 */
  async read(name: string, from: number, count: number): Promise<Float32Array> {
    const { entry, file } = this.#find(name);
    const rowBytes = (entry.end - entry.start) / (entry.shape[0] ?? 1);
    const bytes = new Uint8Array(count * rowBytes);
    const { bytesRead } = await file.read(bytes, 0, bytes.byteLength, entry.start + from * rowBytes);
    if (bytesRead !== bytes.byteLength) {
      throw new DecodeError(`weights (${name})`, `${bytes.byteLength} bytes`, `${bytesRead}; the file was cut`);
    }
    return widenFloats(bytes, entry.dtype, `weights (${name})`);
  }

  async close(): Promise<void> {
    await Promise.all(this.#files.map((file) => file.close()));
  }

  #find(name: string): Located {
    const located = this.#tensors.get(name);
    if (located !== undefined) return located;
    throw new ModelFolderError(`weights (${name})`, 'a tensor of this name', `none among ${this.#tensors.size}`);
  }

  async #addFile(folder: string, name: string, wanted: ReadonlySet<string> | undefined): Promise<void> {
    const file = await openFile(folder, name);
    this.#files.push(file);
    const { size } = await file.stat();
    const source = { file: name, fileBytes: size };
    const prefix = new Uint8Array(8);
    const { bytesRead } = await file.read(prefix, 0, 8, 0);
    const header = new Uint8Array(safetensorsHeaderBytes(prefix.subarray(0, bytesRead), source));
    await file.read(header, 0, header.byteLength, 8);
    const entries = parseSafetensorsHeader(header, source);
    for (const tensor of wanted ?? entries.keys()) {
      const entry = entries.get(tensor);
      if (entry === undefined) throw new ModelFolderError(name, `the tensor ${tensor}, by the index`, 'none');
      this.#tensors.set(tensor, { entry, file });
    }
  }
}

async function openFile(folder: string, name: string): Promise<FileHandle> {
  try {
    return await open(join(folder, name));
  } catch (cause) {
    throw new ModelFolderError(join(folder, name), 'a file of weights', 'none that can be read', { cause });
  }
}

/** Files of weights by name, with the tensors that the index places in them; undefined for all that a file has. */
async function weightFiles(folder: string): Promise<Map<string, Set<string> | undefined>> {
  const indexName = 'model.safetensors.index.json';
  const index = await readSmallFile(join(folder, indexName), limits.safetensorsIndexBytesMax);
  if (index === undefined) return new Map([['model.safetensors', undefined]]);
  const { weight_map: weightMap } = parseJsonObject(index, indexName);
  if (typeof weightMap !== 'object' || weightMap === null) {
    throw new ModelFolderError(indexName, 'a weight_map', typeof weightMap);
  }
  const files = new Map<string, Set<string>>();
  for (const [tensor, file] of Object.entries(weightMap)) {
    if (typeof file !== 'string' || !/^[\w.-]+\.safetensors$/.test(file)) {
      throw new ModelFolderError(indexName, 'names of .safetensors files beside it', String(file).slice(0, 120));
    }
    files.set(file, (files.get(file) ?? new Set()).add(tensor));
  }
  if (files.size > limits.safetensorsFilesMax) {
    throw new ModelFolderError(indexName, `at most ${limits.safetensorsFilesMax} files`, String(files.size));
  }
  return files;
}

/** The small files of a folder, as they go into the manifest. */
export interface FolderFiles {
  readonly config: Uint8Array;
  readonly tokenizer: Uint8Array;
  readonly tokenizerConfig: Uint8Array;
  readonly generationConfig: Uint8Array | null;
}

/** A chat template in a file of its own moves into tokenizer_config.json; without that file an empty one stands in. */
export async function readFolderFiles(folder: string): Promise<FolderFiles> {
  const required = async (name: string, bytesMax: number): Promise<Uint8Array> => {
    const bytes = await readSmallFile(join(folder, name), bytesMax);
    if (bytes !== undefined) return bytes;
    throw new ModelFolderError(join(folder, name), 'a file', 'none');
  };
  const { configBytesMax, tokenizerBytesMax } = protocolLimits;
  const templateFile = await readSmallFile(join(folder, 'chat_template.jinja'), configBytesMax);
  const ownConfig = await readSmallFile(join(folder, 'tokenizer_config.json'), configBytesMax);
  const generationConfig = await readSmallFile(join(folder, 'generation_config.json'), configBytesMax);
  return {
    config: await required('config.json', configBytesMax),
    tokenizer: await required('tokenizer.json', tokenizerBytesMax),
    tokenizerConfig: withTemplate(ownConfig ?? new TextEncoder().encode('{}'), templateFile),
    generationConfig: generationConfig ?? null,
  };
}

function withTemplate(tokenizerConfig: Uint8Array, template: Uint8Array | undefined): Uint8Array {
  const fields = parseJsonObject(tokenizerConfig, 'tokenizer_config.json');
  if (template === undefined || fields['chat_template'] !== undefined) return tokenizerConfig;
  return new TextEncoder().encode(
    JSON.stringify({ ...fields, chat_template: new TextDecoder().decode(template) }, null, 1),
  );
}

/** @returns undefined where there is no such file. @throws ModelFolderError when it is too large or cannot be read */
async function readSmallFile(path: string, bytesMax: number): Promise<Uint8Array | undefined> {
  try {
    const { size } = await stat(path);
    if (size > bytesMax) throw new ModelFolderError(path, `at most ${bytesMax} bytes`, `${size} bytes`);
    return new Uint8Array(await readFile(path));
  } catch (error) {
    if (error instanceof ModelFolderError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new ModelFolderError(path, 'a file that can be read', 'one that cannot', { cause: error });
  }
}
