import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { identityFrom } from './identity-file.node.ts';

describe('identity file', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'unfed-identity-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('is made once, for its owner alone, and read again', async () => {
    const path = join(folder, 'identity');
    const identity = await identityFrom(path);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await identityFrom(path)).toEqual(identity);
  });

  it('is refused when it holds something else, without repeating it', async () => {
    const path = join(folder, 'identity');
    await writeFile(path, 'my password');
    const error = await identityFrom(path).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: 'invalid-value' });
    expect(String(error)).not.toContain('password');
  });
});
