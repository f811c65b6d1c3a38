/** Chats over the demo model on the network in memory, for tests: real stages on the CPU, and pools of any cut. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createEngine, type Ends, type Engine, type SpanRunner } from '@unfed/engine/node';
import { createMemoryPool, testIdentity, type MemoryPool } from '@unfed/inference/suites';
import { loadTokenizer, type ChatTokenizer } from '@unfed/model';
import { ensureDemoModel } from '@unfed/model/node';
import type { Network } from '@unfed/network';
import type { Manifest, ManifestHash, ShardId } from '@unfed/protocol';
import { folderSource } from '@unfed/swarm/node';
import { createChat, type OpenChat } from './chat.ts';
import type { ForwarderCount } from './circuit-path.ts';
import { memoryAsking, type MemoryAsking } from './memory-asking.suite.ts';
import { loadLocalParts, type LocalParts, type OwnLayers } from './own-layers.ts';
import { PeerPenalties } from './peer-penalties.ts';
import type { AnswerEvent } from './peer.ts';

const repository = join(import.meta.dirname, '../../..');

export interface ChatOver {
  readonly pool: MemoryPool;
  readonly chat: OpenChat;
  readonly runners: readonly SpanRunner[];
  readonly own: LocalParts['own'];
  /** Where routes are circuits. */
  readonly asking: MemoryAsking | undefined;
}

export type Cut = readonly (readonly [number, number])[];

/** The demo model, loaded once for a file of tests. */
export class DemoChats {
  readonly #engine: Engine;
  readonly #ends: Ends;
  readonly #model: { readonly hash: ManifestHash; readonly manifest: Manifest };
  readonly #tokenizer: ChatTokenizer;
  readonly #read: (id: ShardId) => Promise<Uint8Array>;
  readonly #open: ChatOver[] = [];

  private constructor(parts: Loaded) {
    this.#engine = parts.engine;
    this.#ends = parts.ends;
    this.#model = parts.model;
    this.#tokenizer = parts.tokenizer;
    this.#read = parts.read;
  }

  static async load(): Promise<DemoChats> {
    const modelsDir = join(repository, 'build/models');
    const model = await ensureDemoModel(modelsDir);
    const source = folderSource(modelsDir);
    const read = (id: ShardId) => source.shard(model.manifest, id);
    const engine = await createEngine({ backend: 'node-cpu' });
    const { architecture, quantization } = model.manifest;
    const ends = await engine.loadEnds({ architecture, quantization }, read);
    const json = async (name: string): Promise<unknown> =>
      JSON.parse(await readFile(join(repository, 'models/demo', name), 'utf8'));
    const tokenizer = loadTokenizer({
      tokenizerJson: await json('tokenizer.json'),
      tokenizerConfig: await json('tokenizer_config.json'),
      generationConfig: await json('generation_config.json'),
    });
    return new DemoChats({ engine, ends, model, tokenizer, read });
  }

  /**
   * A chat over stages with these spans.
   * @param options.change of a runner before it serves: one that fails, or never answers
   */
  async over(
    spans: Cut,
    { delayMs = 0, change = (runner) => runner, ownLayers, forwarders, guards = 3 }: DemoChatOptions = {},
  ): Promise<ChatOver> {
    const { hash, manifest } = this.#model;
    const { architecture, quantization } = manifest;
    const runners: SpanRunner[] = [];
    for (const [index, [first, last]] of spans.entries()) {
      const spec = { architecture, quantization, span: { first, last }, positionsMax: 384, cacheBytesMax: 32 << 20 };
      runners.push(change(await this.#engine.loadSpan(spec, this.#read), index));
    }
    const hops = forwarders === undefined ? 0 : forwarders + guards;
    const pool = createMemoryPool(runners, {
      width: architecture.width,
      manifest: hash,
      seed: 3,
      delayMs,
      forwarders: hops,
    });
    const memory = pool.network.directory(pool.client.identity.peer);
    while (memory.announcements().length < spans.length + hops) await new Promise((resolve) => setTimeout(resolve));
    const directory = {
      announcements: () => memory.announcements(),
      onChange: (listener: () => void) => memory.onChange(listener),
      whole: true,
      announce: () => undefined,
    };
    // Of a network, a chat uses the directory and the relay's state.
    const network = { directory, relayState: { kind: 'connected' } } as unknown as Network;
    const { links } = pool.client;
    const { ends, own } = ownLayers === undefined ? { ends: this.#ends, own: {} } : await this.#loadLocal(ownLayers);
    const asking = forwarders === undefined ? undefined : askingIn(pool);
    const circuits = asking && { asker: asking.asker, forwarders };
    const parts = { hash, manifest, tokenizer: this.#tokenizer, ends, own, network, links, circuits };
    const chat = createChat({ ...parts, penalties: new PeerPenalties() });
    const opened = { pool, chat, runners, own, asking };
    this.#open.push(opened);
    return opened;
  }

  #loadLocal(own: OwnLayers): Promise<LocalParts> {
    const { signal } = new AbortController();
    return loadLocalParts(this.#engine, this.#model.manifest, { own, read: this.#read, signal });
  }

  /** Ends the chats of one test. */
  async closeAll(): Promise<void> {
    for (const { pool, chat, runners, own, asking } of this.#open.splice(0)) {
      chat.close();
      asking?.stop();
      pool.stop();
      for (const runner of [...runners, own.first, own.last]) await runner?.dispose();
    }
  }

  dispose(): Promise<void> {
    return this.#engine.dispose();
  }
}

export interface DemoChatOptions {
  readonly delayMs?: number;
  readonly change?: RunnerChange;
  readonly ownLayers?: OwnLayers;
  /** Routes are circuits, with so many forwarders behind the guard. */
  readonly forwarders?: ForwarderCount;
  /** Peers that only forward, beside these. */
  readonly guards?: number;
}

function askingIn({ network, client }: MemoryPool): MemoryAsking {
  const { peer } = client.identity;
  return memoryAsking(network, { directory: network.directory(peer), self: peer, relay: testIdentity(250).peer });
}

export type RunnerChange = (runner: SpanRunner, index: number) => SpanRunner;

interface Loaded {
  readonly engine: Engine;
  readonly ends: Ends;
  readonly model: { readonly hash: ManifestHash; readonly manifest: Manifest };
  readonly tokenizer: ChatTokenizer;
  readonly read: (id: ShardId) => Promise<Uint8Array>;
}

/** @returns what an answer said in all, and how it ended */
export async function textOf(
  answer: AsyncGenerator<AnswerEvent>,
  onEvent: (event: AnswerEvent) => void = () => undefined,
): Promise<{ text: string; end?: AnswerEvent }> {
  let text = '';
  let end: AnswerEvent | undefined;
  for await (const event of answer) {
    if (event.kind === 'end') end = event;
    if (event.kind === 'text') text += event.delta;
    onEvent(event);
  }
  return { text, end };
}

export const user = (content: string) => ({ role: 'user', content }) as const;
export const assistant = (content: string) => ({ role: 'assistant', content }) as const;
