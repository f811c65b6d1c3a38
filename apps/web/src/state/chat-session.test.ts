import type { AnswerEvent, Chat, DonationState, NetworkView, Peer, RelayInfo, StageView, Weights } from '@unfed/client';
import { RemoteError, manifestHash, type PeerId } from '@unfed/protocol';
import { describe, expect, it } from 'vitest';
import { ChatSession } from './chat-session.ts';
import { Connection } from './connection.ts';
import type { Turn } from './conversation.ts';
import { SettingsStore } from './settings.ts';
import { memoryStorage } from './storage.ts';

const manifest = manifestHash('ab'.repeat(32));
const info: RelayInfo = { peer: 'relay', addresses: ['/x'], iceServers: [], models: [] };
const stage: StageView = {
  peer: 'other' as PeerId,
  span: { first: 0, last: 2 },
  backend: 'wasm',
  stepsPerSecond: 9,
  queueLength: 0,
  self: false,
};
const end: AnswerEvent = {
  kind: 'end',
  reason: 'eos',
  tokens: 2,
  promptTokens: 3,
  firstTokenMs: 1,
  tokensPerSecond: 2,
  endsMsPerToken: 1,
  routeMsPerToken: 1,
};
const text = (delta: string): AnswerEvent => ({ kind: 'text', delta, tokens: 1 });

type Answer = Chat['answer'];

/** Chats that were told to begin anew. */
let renewed = 0;

const noWeights: Weights = {
  view: {
    models: [],
    usedBytes: 0,
    capBytes: 0,
    kept: 'unknown',
    uploadedBytes: 0,
    uploadBytesPerSecond: 0,
    banned: 0,
    note: '',
  },
  pause: () => undefined,
  resume: () => undefined,
  delete: async () => undefined,
  setCaps: () => undefined,
};

function peerWith(answer: Answer, contextLength = 100): Peer {
  const network: NetworkView = {
    relay: { kind: 'connected' },
    pools: [{ manifest, name: 'demo', layers: 2, coverage: [1, 1], stages: [stage] }],
    forwarders: [],
    connections: [],
    guards: [],
    local: true,
  };
  const off: DonationState = { kind: 'off' };
  const promptTokens: Chat['promptTokens'] = (messages) =>
    messages.reduce((sum, message) => sum + message.content.length, 0);
  return {
    id: 'self' as PeerId,
    network,
    donation: { state: off, start: async () => undefined, stop: async () => undefined },
    weights: noWeights,
    openChat: async () => ({
      manifest,
      name: 'demo',
      contextLength,
      promptTokens,
      answer,
      renew: () => void renewed++,
    }),
    onChange: () => () => undefined,
    stop: async () => undefined,
  };
}

function sessionOn(storage = memoryStorage()) {
  const connection = new Connection();
  const settings = new SettingsStore(storage);
  const session = new ChatSession({
    connection,
    settings,
    storage,
    nowMs: () => 0,
    bytesToAsk: async () => 1234,
  });
  const connect = (peer: Peer) =>
    connection.start({ relayInfo: async () => info, createPeer: async () => peer }, new AbortController().signal);
  const reaches = (kind: Turn['state']['kind']) =>
    session.until((view) => {
      const last = view.turns.at(-1);
      return last?.state.kind === kind ? last : undefined;
    }, AbortSignal.timeout(5000));
  return { session, storage, connect, reaches };
}

async function* answers(...events: AnswerEvent[]): AsyncGenerator<AnswerEvent, void, void> {
  yield* events;
}

describe('ChatSession', () => {
  it('keeps a question that is sent before the network is there, and sends it then', async () => {
    const { session, connect, reaches } = sessionOn();
    session.send('early');
    expect(session.view.turns.at(-1)?.state.kind).toBe('queued');
    await connect(peerWith(() => answers(text('yes'), end)));
    await reaches('consent');
    session.consent();
    expect(await reaches('done')).toMatchObject({ question: 'early', answer: 'yes' });
  });

  it('asks for consent once a model, also after a reload', async () => {
    const first = sessionOn();
    await first.connect(peerWith(() => answers(text('a'), end)));
    first.session.send('one');
    expect((await first.reaches('consent')).state).toMatchObject({ model: 'demo', bytes: 1234 });
    first.session.consent();
    await first.reaches('done');
    // As the page does when it is left.
    first.session.store();
    const second = sessionOn(first.storage);
    await second.connect(peerWith(() => answers(text('b'), end)));
    second.session.send('two');
    expect(await second.reaches('done')).toMatchObject({ answer: 'b' });
    expect(second.session.view.turns.map((turn) => turn.question)).toEqual(['one', 'two']);
  });

  it('keeps what was written when a stage is lost, and asks again on retry', async () => {
    const { session, connect, reaches } = sessionOn();
    let calls = 0;
    const answer: Answer = async function* () {
      calls++;
      yield text('half');
      if (calls === 1) throw new RemoteError({ code: 'stage-lost', message: 'a stage left' });
      yield end;
    };
    await connect(peerWith(answer));
    session.send('q');
    await reaches('consent');
    session.consent();
    expect(await reaches('failed')).toMatchObject({ answer: 'half', state: { message: 'a stage left' } });
    session.retry();
    expect(await reaches('done')).toMatchObject({ question: 'q', answer: 'half' });
    expect(session.view.turns).toHaveLength(1);
  });

  it('stops at once and keeps what was written', async () => {
    const { session, connect, reaches } = sessionOn();
    const answer: Answer = async function* (_messages, options) {
      yield text('so far');
      await new Promise((resolve) => options?.signal?.addEventListener('abort', resolve, { once: true }));
      yield { ...end, reason: 'stopped' };
    };
    await connect(peerWith(answer));
    session.send('q');
    await reaches('consent');
    session.consent();
    await session.until(
      (view) => (view.turns.at(-1)?.answer === 'so far' ? true : undefined),
      AbortSignal.timeout(5000),
    );
    expect(session.send('another meanwhile')).toBe(false);
    session.stop();
    expect(await reaches('stopped')).toMatchObject({ answer: 'so far' });
  });

  it('says that a question is too long before anything is sent', async () => {
    const { session, connect, reaches } = sessionOn();
    let asked = false;
    const answer: Answer = () => {
      asked = true;
      return answers(end);
    };
    await connect(peerWith(answer, 8));
    session.send('far too long for it');
    await reaches('consent');
    session.consent();
    expect(await reaches('failed')).toMatchObject({ state: { code: 'prompt-too-long' } });
    expect(asked).toBe(false);
    expect(session.fit('far too long for it')).toMatchObject({ kind: 'too-long' });
    expect(session.fit('short')).toMatchObject({ kind: 'fits' });
  });

  it('says why, when the network cannot be started', async () => {
    const { session, reaches } = sessionOn();
    session.send('q');
    session.stop();
    await reaches('stopped');
    const connection = new Connection();
    const failing = async () => Promise.reject(new Error('no WebRTC here'));
    await connection.start({ relayInfo: async () => info, createPeer: failing }, new AbortController().signal);
    expect(connection.view.failure).toBe('no WebRTC here');
  });

  it('forgets everything on a new conversation', async () => {
    const { session, storage } = sessionOn();
    session.send('q');
    session.startNew();
    expect(session.view.turns).toEqual([]);
    expect(sessionOn(storage).session.view.turns).toEqual([]);
  });

  it('a new conversation takes nothing of the one before: its chat begins anew', async () => {
    const { session, connect, reaches } = sessionOn();
    session.send('q');
    await connect(peerWith(() => answers(text('a'), end)));
    await reaches('consent');
    session.consent();
    await reaches('done');
    renewed = 0;
    session.startNew();
    expect(renewed).toBe(1);
  });
});
