import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { demoModelFolder, openModelFolder } from '@unfed/model/node';
import { verifyManifestSignature, type ManifestHash, type PeerId } from '@unfed/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { main } from './main.ts';

let scratch = '';
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'unfed-cli-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

async function run(...args: string[]) {
  let out = '';
  let err = '';
  const terminal = {
    out: (text: string) => void (out += text),
    err: (text: string) => void (err += text),
    columns: undefined,
  };
  const exitCode = await main(args, terminal);
  return { exitCode, out, err };
}

describe('unfed model add', () => {
  test('makes a folder that opens, and says which', async () => {
    const { exitCode, out, err } = await run('model', 'add', demoModelFolder, '--out', join(scratch, 'a'));
    expect(exitCode).toBe(0);
    expect(out).toMatch(/^demo: 10 shards, 2\.0 MB, int4\n/);
    expect(err).toContain('100 %');
    const folder = out.trim().split('\n').at(-1)!;
    expect((await openModelFolder(folder)).manifest.name).toBe('demo');
  });

  test('prints one line of JSON, and nothing else, with --json', async () => {
    const { out, err } = await run(
      'model',
      'add',
      demoModelFolder,
      '--out',
      join(scratch, 'b'),
      '--json',
      '--name',
      'small',
    );
    expect(err).toBe('');
    expect(JSON.parse(out)).toMatchObject({ name: 'small', layers: 8, shards: 10, quantization: 'int4' });
  });

  test('runs as a program of its own', async () => {
    const program = fileURLToPath(new URL('../bin/unfed.js', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [program, '--help']);
    expect(stdout).toContain('model add FOLDER --out DIR');
  });
});

describe('unfed model sign', () => {
  test('puts a signature beside the manifest, always by the same publisher, and names it', async () => {
    const { out: added } = await run('model', 'add', demoModelFolder, '--out', join(scratch, 'signed'), '--json');
    const { folder, manifest } = JSON.parse(added) as { folder: string; manifest: ManifestHash };
    const key = join(scratch, 'publisher.key');
    const first = await run('model', 'sign', folder, '--key', key);
    expect(first.err).toContain('made a new key');
    const { err, out } = await run('model', 'sign', folder, '--key', key, '--json');
    const { publisher, file } = JSON.parse(out) as { publisher: PeerId; file: string };
    expect([err, first.out]).toEqual(['', `demo: signed by ${publisher}\n${file}\n`]);
    verifyManifestSignature(manifest, await readFile(file), publisher);
    expect((await stat(key)).mode & 0o777).toBe(0o600);
    expect((await openModelFolder(folder)).hash).toBe(manifest);
  });

  test('refuses a folder that is no model, and a file that is no key, which it does not repeat', async () => {
    const key = join(scratch, 'other.key');
    await writeFile(key, 'a secret of something else');
    const none = await run('model', 'sign', scratch, '--key', key);
    expect([none.exitCode, none.err]).toEqual([1, expect.stringContaining('manifest.cbor')]);
    const { out } = await run('model', 'add', demoModelFolder, '--out', join(scratch, 'unsigned'), '--json');
    const { folder } = JSON.parse(out) as { folder: string };
    const { exitCode, err } = await run('model', 'sign', folder, '--key', key);
    expect([exitCode, err]).toEqual([1, expect.stringMatching(/expected 64 lowercase hex digits, came 26 other/)]);
    expect(await readdir(folder)).not.toContain('manifest.sig');
  });
});

describe('exit codes', () => {
  test.each([
    [[], 'expected a command'],
    [['serve'], 'expected the command model'],
    [['model', 'remove'], 'expected model add or model sign'],
    [['model', 'sign'], 'expected one FOLDER'],
    [['model', 'sign', 'x'], 'expected --key FILE'],
    [['model', 'add'], 'expected one FOLDER'],
    [['model', 'add', 'x'], 'expected --out DIR'],
    [['model', 'add', 'x', '--out', 'y', '--quantize', 'int8'], 'expected int4 or none, came int8'],
    [['model', 'add', 'x', '--upside-down'], '--upside-down'],
  ])('2, with the help, for %j', async (args, message) => {
    const { exitCode, err } = await run(...args);
    expect(exitCode).toBe(2);
    expect(err).toContain(message);
    expect(err).toContain('Usage:');
  });

  test('1, in one sentence, for a folder that is no model; nothing is left behind', async () => {
    const folder = join(scratch, 'none');
    await mkdir(folder);
    await writeFile(join(folder, 'config.json'), '{"architectures":["GPT2LMHeadModel"]}');
    await writeFile(join(folder, 'tokenizer.json'), '{}');
    const { exitCode, err } = await run('model', 'add', folder, '--out', join(scratch, 'c'));
    expect(exitCode).toBe(1);
    expect(err).toMatch(/^unfed: config\.json \(architectures\): supported is .*, came "GPT2LMHeadModel"; .*\n$/);
    await expect(readdir(join(scratch, 'c'))).rejects.toThrow('ENOENT');
  });
});
