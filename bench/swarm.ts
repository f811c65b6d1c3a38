/**
 * `npm run bench -- swarm [--seeds 1,3] [--rounds 3] [--mib 64] [--rivals raw,…] [--host ADDRESS] [--browser PATH]…`: chunks
 * from other tabs to one, hashed and stored, against raw data channels and WebTorrent on the same work, in turns.
 *
 * Raw channels and we keep chunks in our store over IndexedDB. WebTorrent runs twice: as it comes, with its own store in the
 * browser's private files (`webTorrent`), and over our store (`webTorrentIdb`), which is faster than its own and shows what
 * the protocols alone differ by. Every tab has a browser and a profile of its own. With one `--browser` a tab (the fetching one's first) and `--host` for
 * relay, tracker and page, tabs can stand on different hosts. From the call to the last byte stored, links not yet open.
 */
import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import { createRelay } from '@unfed/network/node';
import { randomIdentity } from '@unfed/protocol';
import TrackerServer from 'bittorrent-tracker/server';
import { startHarness } from '../e2e/harness-server.ts';
import { findChromium } from '../scripts/find-chromium.ts';
import { openBrowserTab, type BrowserTab } from './browser-tab.ts';
import { interleave, median, ratio } from './measure.ts';
import type { Setup } from './swarm/rival.ts';
import type { RivalName } from './swarm/tab.ts';
import { torrentFile } from './swarm/torrent-file.ts';
import { chunkOf, manifestOf } from './swarm/work.ts';

const localhost = '127.0.0.1';
/** A transfer that takes longer has failed. */
const transferMsMax = 300_000;

interface Options {
  readonly seeds: readonly number[];
  readonly rounds: number;
  readonly mib: number;
  readonly host: string;
  readonly browsers: readonly string[];
  readonly rivals: readonly RivalName[];
}

/** A place to meet: the page, the relay and WebTorrent's tracker. */
interface Room {
  readonly pageUrl: string;
  readonly trackerUrl: string;
  readonly relay: Setup['relay'];
  close(): Promise<void>;
}

interface Measured {
  readonly megabytesPerSecond: number;
  readonly peakMiB: number | undefined;
}

export async function bench(args: readonly string[]): Promise<object> {
  const options = readOptions(args);
  const found = await findChromium(new AbortController().signal);
  const room = await openRoom(options.host);
  const tabs: BrowserTab[] = [];
  try {
    const count = Math.max(...options.seeds) + 1;
    for (let i = 0; i < count; i++) {
      tabs.push(await openBrowserTab(options.browsers[i] ?? found, new URL(room.pageUrl).origin));
    }
    const setup = { ...makeWork(options.mib, room.trackerUrl), relay: room.relay, seeds: 0 };
    const [fetching, ...giving] = tabs;
    for (const { page } of giving) {
      await open(page, room.pageUrl);
      await page.evaluate((it) => window.swarmTab.fill(it), setup);
    }
    if (fetching === undefined) throw new Error('expected a tab that fetches');
    await introduce(fetching, giving);
    return await compare({ room, setup, fetching, giving, options });
  } finally {
    for (const tab of tabs) await tab.close();
    await room.close();
  }
}

function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seeds: { type: 'string', default: '1,3' },
      rounds: { type: 'string', default: '3' },
      mib: { type: 'string', default: '64' },
      host: { type: 'string', default: localhost },
      browser: { type: 'string', multiple: true, default: [] },
      rivals: { type: 'string', default: 'raw,webTorrent,webTorrentIdb,unfed' },
    },
  });
  return {
    seeds: values.seeds.split(',').map(Number),
    rounds: Number(values.rounds),
    mib: Number(values.mib),
    host: values.host,
    browsers: values.browser,
    rivals: values.rivals.split(',') as RivalName[],
  };
}

async function openRoom(host: string): Promise<Room> {
  const harness = await startHarness('swarm', { root: 'bench/swarm', host });
  const relay = await createRelay({ identity: randomIdentity(), host });
  const tracker = new TrackerServer({ udp: false, http: false, ws: true });
  tracker.on('error', (error) => console.error(error));
  await new Promise<void>((resolve) => {
    tracker.once('listening', resolve);
    tracker.listen(0, host);
  });
  return {
    pageUrl: harness.url,
    trackerUrl: `ws://${host}:${tracker.ws.address().port}`,
    relay: { peer: relay.peer, addresses: relay.addresses },
    async close() {
      await new Promise<void>((resolve) => tracker.close(resolve));
      await relay.stop();
      await harness.close();
    },
  };
}

function makeWork(chunks: number, trackerUrl: string): Pick<Setup, 'manifest' | 'torrent'> {
  const sha256: Uint8Array<ArrayBuffer>[] = [];
  const sha1: Buffer[] = [];
  for (let chunk = 0; chunk < chunks; chunk++) {
    const bytes = chunkOf(chunk);
    sha256.push(Uint8Array.from(createHash('sha256').update(bytes).digest()));
    sha1.push(createHash('sha1').update(bytes).digest());
  }
  return { manifest: [...manifestOf(sha256)], torrent: [...torrentFile(sha1, trackerUrl)] };
}

async function open(page: BrowserTab['page'], url: string): Promise<void> {
  await page.goto(url);
  await page.waitForFunction(() => 'swarmTab' in window);
}

/** The way by which raw data channels are set up. */
async function introduce(fetching: BrowserTab, giving: readonly BrowserTab[]): Promise<void> {
  await fetching.page.exposeFunction('signalSeed', (seed: number, offer: string) =>
    giving[seed]?.page.evaluate((sdp) => window.swarmTab.answer(sdp), offer),
  );
}

interface Parts {
  readonly room: Room;
  readonly setup: Setup;
  readonly fetching: BrowserTab;
  readonly giving: readonly BrowserTab[];
  readonly options: Options;
}

async function compare({ options, ...parts }: Parts): Promise<object> {
  const peaks: Record<string, number[]> = {};
  const variants: Record<string, () => Promise<number>> = {};
  for (const seeds of options.seeds) {
    for (const rival of options.rivals) {
      const name = `${rival}${seeds}`;
      peaks[name] = [];
      variants[name] = async () => {
        const measuring = measure(rival, seeds, { options, ...parts });
        const { megabytesPerSecond, peakMiB } = await Promise.race([measuring, tooLate(name)]);
        console.error(`${name.padEnd(12)} ${megabytesPerSecond.toFixed(1)} MB/s, ${peakMiB?.toFixed(0) ?? '?'} MiB`);
        if (peakMiB !== undefined) peaks[name]?.push(peakMiB);
        return megabytesPerSecond;
      };
    }
  }
  const rates = await interleave(variants, options.rounds);
  const against = (rival: RivalName): [string, number][] =>
    options.seeds.flatMap((seeds): [string, number][] => {
      const [ours, theirs] = [rates[`unfed${seeds}`], rates[`${rival}${seeds}`]];
      const key = `vs${rival.charAt(0).toUpperCase()}${rival.slice(1)}${seeds}`;
      return ours === undefined || theirs === undefined ? [] : [[key, ratio(ours, theirs)]];
    });
  const medians = (values: Record<string, number[]>) =>
    Object.fromEntries(Object.entries(values).flatMap(([key, all]) => (all.length === 0 ? [] : [[key, median(all)]])));
  return {
    ...Object.fromEntries([...against('raw'), ...against('webTorrent'), ...against('webTorrentIdb')]),
    peakMiB: Math.max(0, ...Object.entries(peaks).flatMap(([name, all]) => (name.startsWith('unfed') ? all : []))),
    megabytesPerSecond: medians(rates),
    peakMiBOf: medians(peaks),
  };
}

async function tooLate(name: string): Promise<never> {
  await new Promise((resolve) => setTimeout(resolve, transferMsMax).unref());
  throw new Error(`${name}: expected the last chunk within ${transferMsMax / 1000} s, it did not come`);
}

/** One transfer, in pages that were just loaded. */
async function measure(rival: RivalName, seeds: number, parts: Parts): Promise<Measured> {
  const { room, fetching, giving, options } = parts;
  const setup = { ...parts.setup, seeds };
  const seeding = giving.slice(0, seeds);
  await Promise.all([fetching, ...seeding].map(({ page }) => open(page, room.pageUrl)));
  for (const { page } of seeding) {
    await page.evaluate(([name, it]) => window.swarmTab.give(name, it), [rival, setup] as const);
  }
  await fetching.page.evaluate(([name, it]) => window.swarmTab.prepare(name, it), [rival, setup] as const);
  await fetching.resetPeak();
  const ms = await fetching.page.evaluate((name) => window.swarmTab.fetch(name), rival);
  const peakMiB = await fetching.peakMiB();
  await fetching.page.evaluate((name) => window.swarmTab.check(name), rival);
  await Promise.all([fetching, ...seeding].map(({ page }) => page.goto('about:blank')));
  return { megabytesPerSecond: (options.mib * 2 ** 20) / 1e3 / ms, peakMiB };
}
