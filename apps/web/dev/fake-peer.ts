/** A peer that follows a script, for looking at the page. It stands for delay and failure only; it computes nothing. */
import type {
  AnswerEvent,
  Chat,
  ChatMessage,
  Donation,
  DonationState,
  NetworkView,
  Peer,
  StageView,
  Weights,
  WeightsView,
} from '@unfed/client';
import { RemoteError, type PeerId } from '@unfed/protocol';
import { manifest, type Script } from './scripts.ts';

const peerId = (end: string) => `12D3KooWQ9hJwQyVQy6c1fN1bWbXn2LZ8q3rT5vKp4m${end}` as PeerId;

export const relayInfo = {
  peer: peerId('RelayAb1'),
  addresses: ['/ip4/127.0.0.1/tcp/1/ws'],
  iceServers: [],
  models: [{ manifest, name: 'demo' }],
};

const answer = `The capital of France is **Paris**. Some more, so that every kind of text is seen:

1. A list with \`code\` and a [link](https://example.org/).
2. ![a picture that never loads](https://example.org/picture.png)

| Country | Capital |
|---|--:|
| France | Paris |
| Zambia | Lusaka |

\`\`\`ts
const capital = capitals.get('France');
\`\`\`

<b>HTML</b> is shown as text.`;

function stagesOf(coverage: readonly number[]): StageView[] {
  const stages: StageView[] = [];
  const most = Math.max(0, ...coverage);
  for (let level = 1; level <= most; level++) {
    for (let first = 0; first < coverage.length; first++) {
      if (coverage[first] < level) continue;
      let last = first + 1;
      while (last < coverage.length && coverage[last] >= level && last - first < 3) last++;
      stages.push({
        peer: peerId(`Stage${level}x${first}`),
        span: { first, last },
        backend: (['webgpu', 'wasm', 'node-cpu'] as const)[stages.length % 3],
        stepsPerSecond: 1240 / (stages.length + 3),
        queueLength: stages.length % 2,
        self: stages.length === 2,
      });
      first = last - 1;
    }
  }
  return stages;
}

export class FakePeer implements Peer {
  readonly id = peerId('SelfAbc2');
  readonly network: NetworkView;
  readonly donation: Donation;
  readonly weights: Weights;
  readonly #script: Script;
  readonly #listeners = new Set<() => void>();
  #donationState: DonationState;
  #weightsView: WeightsView;

  constructor(script: Script) {
    this.#script = script;
    this.#donationState = script.donation;
    this.#weightsView = script.weights;
    const stages = stagesOf(script.coverage);
    this.network = {
      relay: { kind: 'connected' },
      pools: [{ manifest, name: 'demo', layers: script.coverage.length, coverage: script.coverage, stages }],
      forwarders: [{ peer: peerId('Forward3') }],
      connections: [
        { peer: relayInfo.peer, transport: 'websocket', isRelay: true },
        ...stages.map(({ peer }) => ({ peer, transport: 'webrtc', isRelay: false }) as const),
      ],
      guards: [],
      local: true,
    };
    const state = () => this.#donationState;
    const become = async (next: DonationState) => {
      this.#donationState = next;
      this.#tell();
    };
    this.weights = this.#scriptedWeights();
    this.donation = {
      get state() {
        return state();
      },
      start: () => become({ kind: 'preparing', note: '' }),
      stop: () => become({ kind: 'off' }),
    };
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #scriptedWeights(): Weights {
    const view = () => this.#weightsView;
    const change = (models: WeightsView['models']) => {
      this.#weightsView = { ...this.#weightsView, models };
      this.#tell();
    };
    const pause = (paused: boolean) => change(view().models.map((model) => ({ ...model, paused })));
    return {
      get view() {
        return view();
      },
      pause: () => pause(true),
      resume: () => pause(false),
      delete: async () => change([]),
      setCaps: () => undefined,
    };
  }

  async openChat(): Promise<Chat> {
    return {
      manifest,
      name: 'demo',
      contextLength: this.#script.contextLength,
      promptTokens: (messages: readonly ChatMessage[]) =>
        messages.reduce((sum, message) => sum + message.content.split(' ').length + 4, 0),
      answer: (_messages, options) => this.#answer(options?.signal),
      renew: () => undefined,
    };
  }

  async *#answer(signal: AbortSignal | undefined): AsyncGenerator<AnswerEvent, void, void> {
    if (this.#script.coverage.includes(0)) {
      throw new RemoteError({ code: 'no-route', message: 'nobody serves layers 4–5 of demo' });
    }
    yield { kind: 'progress', stage: 'planning', note: '' };
    yield { kind: 'route', hops: this.network.pools[0].stages.slice(0, 3) };
    yield { kind: 'progress', stage: 'prefill', note: '' };
    const words = answer.split(/(?<=\s)/);
    for (const [index, delta] of words.entries()) {
      if (signal?.aborted === true) break;
      yield { kind: 'text', delta, tokens: index + 1 };
      if (index === 8) await this.#atTheEighthWord(signal);
      await new Promise((resolve) => setTimeout(resolve, 1000 / Math.max(50, this.#script.wordsPerSecond)));
    }
    yield {
      kind: 'end',
      reason: signal?.aborted === true ? 'stopped' : 'eos',
      tokens: words.length,
      promptTokens: 24,
      firstTokenMs: 420,
      tokensPerSecond: 31.4,
      endsMsPerToken: 4,
      routeMsPerToken: 27,
    };
  }

  async #atTheEighthWord(signal: AbortSignal | undefined): Promise<void> {
    if (this.#script.breaks) {
      throw new RemoteError({
        code: 'stage-lost',
        message: 'the stage that served layers 3–4 (…Stage1x3) left; try again',
      });
    }
    if (this.#script.wordsPerSecond > 0) return;
    await new Promise((resolve) => signal?.addEventListener('abort', resolve, { once: true }));
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async stop(): Promise<void> {
    this.#listeners.clear();
  }
}
