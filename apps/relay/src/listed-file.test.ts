import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createNetwork, ListedTimes } from '@unfed/network/node';
import { randomIdentity, signAnnouncement } from '@unfed/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openListedFile } from './listed-file.ts';
import { startRelay } from './relay.ts';

describe('the file of listed peers', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'unfed-listed-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const fail = (error: unknown): void => {
    throw error;
  };

  it('keeps times across restarts, for its owner alone', async () => {
    const path = join(folder, 'listed');
    const { peer } = randomIdentity();
    const nowMs = Date.now();
    const first = await openListedFile({ path, onFailed: fail });
    first.times.begin(peer, nowMs - 5000);
    first.times.end(peer, nowMs);
    await first.stop();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(['listed']);
    const second = await openListedFile({ path, onFailed: fail });
    expect(second.times.listedMs(peer, nowMs)).toBe(5000);
    await second.stop();
  });

  it('is refused when it holds something else', async () => {
    const path = join(folder, 'listed');
    await writeFile(path, 'a letter');
    await expect(openListedFile({ path, onFailed: fail })).rejects.toMatchObject({ code: 'invalid-value' });
    expect(await readFile(path, 'utf8')).toBe('a letter');
  });

  it('that cannot be written is said so, and ends nothing', async () => {
    const path = join(folder, 'away', 'listed');
    const failures: unknown[] = [];
    const file = await openListedFile({ path, onFailed: (error) => failures.push(error) });
    await file.stop();
    expect(failures).toHaveLength(1);
    await mkdir(join(folder, 'away'));
    await file.stop();
    expect(ListedTimes.decode(await readFile(path, 'utf8')).size).toBe(0);
  });

  it('stands beside the relay’s identity, and knows who was listed there', async () => {
    const identityFile = join(folder, 'identity');
    const relay = await startRelay({
      host: '127.0.0.1',
      port: 0,
      stunPort: 0,
      modelsDir: join(folder, 'none'),
      identityFile,
    });
    const info = (await (await fetch(`${relay.url}/relay.json`)).json()) as { addresses: string[] };
    const identity = randomIdentity();
    const network = await createNetwork({
      identity,
      relays: [{ peer: relay.peer, addresses: info.addresses }],
      iceServers: [],
      allowPrivateAddresses: true,
    });
    const issuedAtMs = Date.now();
    const nothing = { stage: null, hopKeys: [], operator: null, addresses: [], seeds: [] };
    const times = { issuedAtMs, expiresAtMs: issuedAtMs + 60_000 };
    network.directory.announce(signAnnouncement({ peer: identity.peer, ...times, ...nothing }, identity));
    await new Promise<void>((resolve) => {
      network.directory.onChange(() => network.directory.announcements().length === 1 && resolve());
    });
    await network.stop();
    await relay.stop();
    expect(ListedTimes.decode(await readFile(`${identityFile}.listed`, 'utf8')).size).toBe(1);
  });
});
