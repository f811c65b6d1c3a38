/** Real tabs, a real relay and a real Node peer: what packages/network/SPEC.md promises where a browser is needed. */
import { expect, test, type BrowserContext, type Page } from '@playwright/test';
import { createNetwork, createRelay, type Network, type RelayAddress, type RelayNode } from '@unfed/network/node';
import { identityFromSeed, randomIdentity, type PeerId } from '@unfed/protocol';
import { startHarness, type HarnessServer } from './harness-server.ts';

let server: HarnessServer;

test.beforeAll(async () => {
  server = await startHarness('network');
});

test.afterAll(() => server.close());

/** What one test needs; everything ends with it. */
class Room {
  readonly #contexts: BrowserContext[] = [];
  readonly #stops: (() => Promise<void>)[] = [];
  /** Hosts of every request and WebSocket of every tab. */
  readonly hosts = new Set<string>();
  relay: RelayNode | undefined;

  get relays(): RelayAddress[] {
    if (this.relay === undefined) throw new Error('no relay yet');
    return [{ peer: this.relay.peer, addresses: this.relay.addresses }];
  }

  async startRelay(options: Partial<Parameters<typeof createRelay>[0]> = {}): Promise<RelayNode> {
    this.relay = await createRelay({ identity: randomIdentity(), ...options });
    this.#stops.push(() => this.relay?.stop() ?? Promise.resolve());
    return this.relay;
  }

  async tab(newContext: () => Promise<BrowserContext>): Promise<{ page: Page; peer: PeerId }> {
    const context = await newContext();
    this.#contexts.push(context);
    const page = await context.newPage();
    page.on('request', (request) => this.hosts.add(new URL(request.url()).hostname));
    page.on('websocket', (socket) => this.hosts.add(new URL(socket.url()).hostname));
    await page.goto(server.url);
    const peer = await page.evaluate((relays) => window.tab.start(relays), this.relays);
    await untilReachable(page);
    return { page, peer };
  }

  async node(): Promise<Network> {
    const options = { identity: randomIdentity(), relays: this.relays, iceServers: [], allowPrivateAddresses: true };
    const network = await createNetwork(options);
    this.#stops.unshift(() => network.stop());
    return network;
  }

  async stop(): Promise<void> {
    for (const context of this.#contexts) await context.close();
    for (const stop of this.#stops) await stop();
  }
}

const untilReachable = (page: Page): Promise<unknown> => page.waitForFunction(() => window.tab.isReachable());
const connections = (page: Page): Promise<Network['connections']> =>
  page.evaluate(() => [...window.tab.network.connections]);

const withRoom = test.extend<{ room: Room; newTab: () => Promise<{ page: Page; peer: PeerId }> }>({
  room: async ({ browserName }, use) => {
    expect(browserName).toBe('chromium');
    const room = new Room();
    await room.startRelay();
    await use(room);
    await room.stop();
  },
  newTab: async ({ room, browser }, use) => use(() => room.tab(() => browser.newContext())),
});

withRoom('two tabs link over WebRTC, not through the relay, in messages below 4.6 kB', async ({ newTab }) => {
  const [a, b] = [await newTab(), await newTab()];
  const opened = await a.page.evaluate((peer) => window.tab.open(peer), b.peer);
  expect(opened.relayed).toBe(false);
  expect(await connections(a.page)).toContainEqual({ peer: b.peer, transport: 'webrtc', isRelay: false });
  await a.page.evaluate(() => window.tab.sentBytes.splice(0));
  for (const bytes of [64, 3584, 8192, 100_000]) {
    const times = await a.page.evaluate(([peer, size]) => window.tab.roundTrips(peer, size, 60), [
      b.peer,
      bytes,
    ] as const);
    times.sort((x, y) => x - y);
    const sent = await a.page.evaluate(() => window.tab.sentBytes.splice(0));
    const largest = Math.max(...sent);
    test.info().annotations.push({
      type: 'measured',
      description: `${bytes} B: p50 ${times[30]?.toFixed(2)} ms, ${sent.length / 60} messages, largest ${largest} B`,
    });
    expect(largest).toBeLessThan(4600);
  }
});

withRoom('a tab reaches a Node peer by webrtc-direct, and is reached by it', async ({ room, newTab }) => {
  const node = await room.node();
  node.accept('/unfed/echo/1', (link) => link.onFrame((frame) => link.send(frame)));
  const { page, peer } = await newTab();
  const direct = node.addresses.filter((address) => address.includes('/webrtc-direct'));
  await page.evaluate(([to, addresses]) => window.tab.open(to, addresses), [node.self, direct] as const);
  expect(await connections(page)).toContainEqual({ peer: node.self, transport: 'webrtc-direct', isRelay: false });
  expect(await page.evaluate((to) => window.tab.roundTrips(to, 5000, 3), node.self)).toHaveLength(3);

  const other = await room.node();
  const link = await other.open(peer, '/unfed/echo/1');
  const echoed = new Promise<Uint8Array>((resolve) => link.onFrame(resolve));
  await link.send(Uint8Array.of(1, 2, 3));
  expect(await echoed).toEqual(Uint8Array.of(1, 2, 3));
  expect(other.connections).toContainEqual({ peer, transport: 'webrtc', isRelay: false });
});

withRoom('tabs that dial each other at once keep one link', async ({ newTab }) => {
  const [a, b] = [await newTab(), await newTab()];
  await Promise.all([
    a.page.evaluate((peer) => window.tab.open(peer), b.peer),
    b.page.evaluate((peer) => window.tab.open(peer), a.peer),
  ]);
  for (const { page } of [a, b]) await page.waitForFunction(() => window.tab.links.size === 1);
  expect(await a.page.evaluate((peer) => window.tab.roundTrips(peer, 100, 3), b.peer)).toHaveLength(3);
});

withRoom('first dials do not hang', async ({ newTab }) => {
  const { page, peer } = await newTab();
  const times: number[] = [];
  for (let i = 0; i < 8; i++) {
    const other = await newTab();
    times.push((await other.page.evaluate((to) => window.tab.open(to), peer)).ms);
    await other.page.close();
  }
  test
    .info()
    .annotations.push({ type: 'measured', description: `first dials, ms: ${times.map(Math.round).join(' ')}` });
  expect(await page.evaluate(() => window.tab.iceServers)).toEqual([]);
});

withRoom('tabs meet again after the relay was restarted, and their links outlive it', async ({ room, newTab }) => {
  const identity = identityFromSeed(new Uint8Array(32).fill(7));
  await room.relay?.stop();
  const first = await room.startRelay({ identity });
  const port = Number(first.addresses[0]?.split('/')[4]);
  const [a, b] = [await newTab(), await newTab()];
  await a.page.evaluate((peer) => window.tab.open(peer), b.peer);
  await first.stop();
  await a.page.waitForFunction(() => window.tab.network.relayState.kind === 'retrying');
  expect(await a.page.evaluate((peer) => window.tab.roundTrips(peer, 100, 3), b.peer)).toHaveLength(3);
  await room.startRelay({ identity, port });
  for (const { page } of [a, b]) {
    await page.waitForFunction(() => window.tab.network.relayState.kind === 'connected');
    await untilReachable(page);
  }
  const c = await newTab();
  await c.page.evaluate((peer) => window.tab.open(peer), a.peer);
  expect(await c.page.evaluate((peer) => window.tab.roundTrips(peer, 100, 3), a.peer)).toHaveLength(3);
});

withRoom('a tab that is busy for seconds keeps its links', async ({ newTab }) => {
  const [a, b] = [await newTab(), await newTab()];
  await a.page.evaluate((peer) => window.tab.open(peer), b.peer);
  await b.page.evaluate(() => {
    const end = performance.now() + 4000;
    while (performance.now() < end);
  });
  expect(await a.page.evaluate((peer) => window.tab.roundTrips(peer, 100, 3), b.peer)).toHaveLength(3);
  for (const { page } of [a, b]) expect(await page.evaluate(() => window.tab.left)).toEqual([]);
});

withRoom('a tab that crashes is noticed within 10 s', async ({ newTab }) => {
  const [a, b] = [await newTab(), await newTab()];
  await a.page.evaluate((peer) => window.tab.open(peer), b.peer);
  const crashed = performance.now();
  // A crash runs no handler of the page, so nothing says goodbye.
  b.page.goto('chrome://crash').catch(() => undefined);
  await a.page.waitForFunction((peer) => window.tab.left.includes(peer), b.peer, { timeout: 10_000 });
  const ms = Math.round(performance.now() - crashed);
  test.info().annotations.push({ type: 'measured', description: `crash noticed after ${ms} ms` });
  await a.page.waitForFunction(() => window.tab.links.size === 0);
});

withRoom('no host but localhost is asked for anything', async ({ room, newTab }) => {
  const [a, b] = [await newTab(), await newTab()];
  await a.page.evaluate((peer) => window.tab.open(peer), b.peer);
  const foreign = [
    '/dns4/relay.example/tcp/443/wss/p2p/12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5/p2p-circuit/webrtc',
    '/dns4/peer.example/udp/4001/webrtc-direct/certhash/uEiDikp5KVUgkLta1EjUN-IKbHk-dUBg8VzKgf5nXxLK46w',
    '/dnsaddr/bootstrap.example',
  ];
  const stranger = randomIdentity().peer;
  const attempt = a.page.evaluate(([to, addresses]) => window.tab.open(to, addresses), [stranger, foreign] as const);
  await expect(attempt).rejects.toThrow('cannot be reached');
  expect([...room.hosts]).toEqual(['127.0.0.1']);
  expect(await a.page.evaluate(() => window.tab.iceServers)).toEqual([]);
});
